"""Recipe folders written by tests: files by name, and git repositories with tags."""

from __future__ import annotations

import subprocess
from pathlib import Path

SAMPLE = "TYPE=app\nDOMAIN=app.example.com\n"
APP = """\
version: "3.8"
services:
  app:
    image: nginx:1.22.1
    deploy:
      labels:
        - "coop-cloud.${STACK_NAME}.version=1.0.0+1.22.1"
"""


def recipe(folder: Path, **files: str) -> Path:
    """Write a recipe. `compose__x` is `compose.x.yml`; `sub___compose__x` lies in `sub/`."""
    names = {"env": ".env.sample", "abra": "abra.sh", "compose": "compose.yml"}
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in {"env": SAMPLE, "compose": APP, **files}.items():
        name = names.get(key) or key.replace("___", "/").replace("__", ".") + ".yml"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def service(body: str, **sections: str) -> str:
    """Return a compose file with one service `app`, `body` being indented below it."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    rest = "".join(f"{name}:\n{text}\n" for name, text in sections.items())
    return f'version: "3.8"\nservices:\n  app:\n    image: nginx:1.22.1\n{lines}{rest}'


def git(folder: Path, *arguments: str) -> None:
    """Run git there, as nobody in particular."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True)


def commit(folder: Path, *tags: str) -> None:
    """Commit all that lies there, and tag it."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a version")
    for tag in tags:
        git(folder, "tag", tag)
