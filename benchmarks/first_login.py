"""Starts the stand-in app with the environment given and logs alice in: what a run does first.

Prints, as JSON, the monotonic time at which she was in, and the seconds of each step.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from testbed.relying_party import running


def main() -> None:
    """Run once; `ALICE` holds the password, or the lease's document does."""
    began = time.monotonic()
    # The browser's modules load while the app starts, as a test runner's would.
    browser = threading.Thread(target=_load_browser)
    browser.start()
    password = os.environ.get("ALICE") or _leased_password()
    with running(os.environ, port=int(sys.argv[1])) as app:
        browser.join()
        from testbed.browser import login

        up = time.monotonic()
        with login(app.url, "alice", password) as session:
            done = time.monotonic()
            assert session.email, "logged in as nobody"
    print(json.dumps({"done": done, "began": began, "app_s": up - began, "login_s": done - up}))


def _load_browser() -> None:
    import testbed.browser  # noqa: F401


def _leased_password() -> str:
    with open(os.environ["WARMINFRA_LEASE_FILE"]) as file:
        users = json.load(file)["users"]
    return str(next(user["password"] for user in users if user["username"] == "alice"))


if __name__ == "__main__":
    main()
