"""What a run of the soak does, by pytest below `warminfra exec`.

It keeps its lease document for the judge, leaves a daemon behind that must not outlive the lease,
logs in through the app, and out. Not named as a test: only the soak asks for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

from testbed.browser import login, logout
from testbed.relying_party import running


def test_a_person_logs_in_and_out() -> None:
    """The stand-in app lets the leased person in, and out again."""
    text = Path(os.environ["WARMINFRA_LEASE_FILE"]).read_text()
    kept = Path(os.environ["SOAK_DOCUMENTS"]) / f"{uuid.uuid4().hex}.json"
    partial = kept.with_suffix(".part")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write(text)
    partial.rename(kept)
    subprocess.run(["setsid", "--fork", "sleep", "600"], check=True)
    person = json.loads(text)["users"][0]
    port = int(os.environ["SOAK_PORT"])
    with (
        running(os.environ, port=port) as app,
        login(app.url, person["username"], person["password"]) as session,
    ):
        assert session.email == person["email"]
        logout(session)
