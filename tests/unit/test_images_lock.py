"""Image references, the lock's text, and what changes between two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warminfra.core.errors import RecipeInvalid
from warminfra.images.lock import Locked, changes, make_lock, overlay, read_lock, write_lock
from warminfra.images.reference import parse_reference

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("text", "repository", "tagged"),
    [
        ("nginx", "nginx", "nginx:latest"),
        ("library/nginx:1.25", "nginx", "nginx:1.25"),
        ("org/app:1", "org/app", "org/app:1"),
        ("registry.example/app:1", "registry.example/app", "registry.example/app:1"),
        ("localhost/app", "localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:x"),
        (f"app:1@{DIGEST}", "app", "app:1"),
        (f"app@{DIGEST}", "app", ""),
    ],
)
def test_a_reference_is_read_as_the_engine_reads_it(
    text: str, repository: str, tagged: str
) -> None:
    """Repository and tag are those under which the engine lists the image."""
    found = parse_reference(text)
    assert (found.repository, found.tagged) == (repository, tagged)
    assert parse_reference(str(found)) == found
    assert found.at(OTHER).pinned == f"{repository}@{OTHER}"


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "app:", "app@sha256:abc", "http://x/y"])
def test_what_is_no_reference_is_told(text: str) -> None:
    """A slip in an image's name is the recipe's fault, with the name in the line."""
    with pytest.raises(RecipeInvalid, match="no image reference"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "floating"),
    [("app", True), ("app:latest", True), ("app:1.2.3", False), (f"app@{DIGEST}", False)],
)
def test_names_without_a_number_are_flagged(text: str, floating: bool) -> None:
    """A tag without a number is made to move."""
    assert parse_reference(text).floating is floating


def entry(name: str, digest: str = DIGEST) -> Locked:
    return Locked(parse_reference(name), digest, {"linux/arm64": OTHER, "linux/amd64": DIGEST})


def test_the_lock_is_the_same_text_whatever_the_order(tmp_path: Path) -> None:
    """Same names, same digests, same bytes; and it reads back as it was."""
    one = make_lock("app", [entry("b:1"), entry("a:1")])
    two = make_lock("app", [entry("a:1"), entry("b:1")])
    assert one.to_json() == two.to_json()
    write_lock(tmp_path / "warminfra.lock", one)
    assert read_lock(tmp_path / "warminfra.lock") == one
    assert (tmp_path / "warminfra.lock").stat().st_mode & 0o777 == 0o644


def test_a_damaged_lock_is_told_by_its_name(tmp_path: Path) -> None:
    """Half a file is no lock, and never a bug."""
    file = tmp_path / "warminfra.lock"
    file.write_text(make_lock("app", [entry("a:1")]).to_json()[:50])
    with pytest.raises(RecipeInvalid, match=r"warminfra\.lock"):
        read_lock(file)


def test_the_difference_has_what_came_what_went_and_what_moved() -> None:
    """One line each, in the order of names."""
    before = make_lock("app", [entry("a:1"), entry("b:1"), entry("c:1")])
    after = make_lock("app", [entry("b:1", OTHER), entry("c:1"), entry("d:1")])
    assert [str(change)[0] for change in changes(before, after)] == ["-", "~", "+"]
    assert changes(after, after) == []


def test_the_overlay_names_digests() -> None:
    """A deploy with it has nothing to ask a registry."""
    services = json.loads(overlay({"app": entry("a:1")}))["services"]
    assert services == {"app": {"image": f"a:1@{DIGEST}"}}
