"""The reference recipes as git repositories with both of their versions, as a node would have them.

`recipes/NAME` is the current version; `recipes_before/NAME` holds the files that were different in
the version before.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

RECIPES = Path(__file__).resolve().parent / "recipes"
BEFORE = RECIPES.parent / "recipes_before"
IMAGES = {
    "custom-html": ("web",),
    "n8n": ("n8n", "postgres"),
    "keycloak": ("keycloak", "postgres"),
    "lasuite-docs": ("web", "lasuite-docs", "postgres", "redis"),
}
"""The recipes, and the images that each is made of (`image_builds`)."""

_LABEL = re.compile(r"coop-cloud\.\$\{STACK_NAME\}\.version=([^\"\s]+)")
_SKIPPED = shutil.ignore_patterns("__pycache__")


def make_repository(name: str, folder: Path) -> Path:
    """Make the repository of recipe `name` in `folder / name`, tagged; return it."""
    target = folder / name
    target.mkdir(parents=True)
    _git(target, "init", "--quiet")
    for sources in ([RECIPES / name, BEFORE / name], [RECIPES / name]):
        for source in sources:
            # With the time of now: git takes a file of the same size and time for unchanged.
            shutil.copytree(
                source, target, dirs_exist_ok=True, ignore=_SKIPPED, copy_function=shutil.copy
            )
        found = _LABEL.search((target / "compose.yml").read_text())
        assert found, f"{name} has no version label"
        _git(target, "add", "--all")
        _git(target, "commit", "--quiet", "--message", f"version {found[1]}")
        _git(target, "tag", found[1])
    return target


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=testbed", "-c", "user.email=testbed@example.com")
    command = ["git", *who, "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True)
