"""A recipe's versions by git tag: the one that lies in the folder, and the one before it.

Git is only read, and never by a name that could be an option. A folder without git has one version.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from warminfra.core.errors import NotFound, RecipeInvalid
from warminfra.recipes.compose import read_version
from warminfra.recipes.model import RecipeFolder, RecipeVersion
from warminfra.recipes.reader import recipe_name

_TAG = re.compile(r"v?(?P<recipe>\d+(?:\.\d+)*[^+\s]*)\+(?P<app>\S+)")
_NUMBERS = re.compile(r"\d+")
_TIMEOUT = 60.0


class GitBroken(Exception):
    """Git did not answer; the message is its own."""


def read_folder(
    path: Path,
    name: str | None = None,
    *,
    env: str | None = None,
    env_file: str = "the app's .env",
    stack: str | None = None,
    domain: str | None = None,
    by_engine: bool = True,
) -> RecipeFolder:
    """Return the recipe in `path`, with the version before it if git knows one.

    The arguments are those of `read_version`; the app's `env` holds for both versions. Raises
    `NotFound` if there is no such folder, `RecipeInvalid` with all faults of both versions.
    """
    name = recipe_name(path, name)
    if not path.is_dir():
        raise NotFound(f"{path}: no such recipe folder", hint="give the path of the recipe")
    options = {"env_file": env_file, "stack": stack, "domain": domain, "by_engine": by_engine}
    tags = version_tags(path)
    head = _git(path, "rev-parse", "HEAD", quiet=True).strip() if tags else ""
    at_head = set(_git(path, "tag", "--points-at", "HEAD", quiet=True).split()) if head else set()
    problems: list[str] = []
    current = previous = None
    try:
        current = read_version(path, shown=str(path), env=env, commit=head, **options)  # type: ignore[arg-type]
    except RecipeInvalid as error:
        problems += error.problems
    before = tag_before(tags, at_head, current.version if current else "")
    if before:
        try:
            with checked_out(path, before) as (folder, commit):
                previous = read_version(
                    folder,
                    shown=f"{path}@{before}",
                    env=env,
                    tag=before,
                    commit=commit,
                    before=True,
                    **options,  # type: ignore[arg-type]
                )
        except RecipeInvalid as error:
            problems += error.problems
    if current is None or problems:
        raise RecipeInvalid(problems)
    return RecipeFolder(name, path.resolve(), _tagged(current, at_head), previous, tags)


def _tagged(current: RecipeVersion, at_head: set[str]) -> RecipeVersion:
    tag = next(iter(sorted(at_head)), "") if not current.version else current.version
    return replace(current, tag=tag if tag in at_head else "", version=tag)


def version_tags(path: Path) -> tuple[str, ...]:
    """Return the tags that are versions (`<recipe>+<app>`), newest first."""
    if not (path / ".git").exists():
        return ()
    try:
        tags = _git(path, "tag", "--list").split()
    except GitBroken:
        return ()
    return tuple(sorted(filter(_TAG.fullmatch, tags), key=_order, reverse=True))


def tag_before(tags: tuple[str, ...], at_head: set[str], version: str) -> str:
    """Return the newest tag that is older than the version at hand; nothing if there is none.

    The label decides; without one, the commit that is checked out.
    """
    for tag in tags:
        if _order(tag) < _order(version) if version else tag not in at_head:
            return tag
    return ""


def _order(tag: str) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    recipe, _, app = tag.partition("+")
    return _numbers(recipe), _numbers(app), tag


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(text))


@contextmanager
def checked_out(path: Path, tag: str) -> Iterator[tuple[Path, str]]:
    """Give a folder with the files of `tag`, and its commit; the folder goes at the end."""
    with tempfile.TemporaryDirectory(prefix="warminfra-recipe-") as scratch:
        folder = Path(scratch) / "recipe"
        folder.mkdir()
        try:
            commit = _git(path, "rev-parse", f"refs/tags/{tag}^{{commit}}").strip()
            archive = _run(path, "archive", "--format=tar", commit)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
        except (GitBroken, tarfile.TarError, OSError) as error:
            raise RecipeInvalid([f"{path}@{tag}: cannot be read: {error}"]) from None
        yield folder, commit


def _git(path: Path, *arguments: str, quiet: bool = False) -> str:
    try:
        return _run(path, *arguments).decode(errors="replace")
    except GitBroken:
        if quiet:
            return ""
        raise


def _run(path: Path, *arguments: str) -> bytes:
    # The folder may belong to somebody else: nothing of its configuration is run by these verbs.
    command = ["git", "-c", "safe.directory=*", "-C", str(path), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitBroken(f"git: {type(error).__name__}") from None
    if done.returncode:
        raise GitBroken(done.stderr.decode(errors="replace").strip()[-300:] or "git failed")
    return done.stdout
