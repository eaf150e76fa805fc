"""Image references as the engine reads them: domain, path, tag, digest.

A name without a domain means the engine's default registry, whose names docker-py knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from warminfra.core.errors import RecipeInvalid

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?P<domain>[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-f:]+\](?::\d+)?)/)?"
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One image name. `domain` is "" for the engine's default registry."""

    domain: str
    path: str
    tag: str
    """"" only beside a digest."""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Return the name without tag and digest, as the engine writes it."""
        path = self.path
        if not self.domain:
            path = path.removeprefix("library/")
        return f"{self.domain}/{path}" if self.domain else path

    @property
    def tagged(self) -> str:
        """Return repository and tag, "" if there is no tag."""
        return f"{self.repository}:{self.tag}" if self.tag else ""

    @property
    def floating(self) -> bool:
        """Say whether the name is made to mean another image tomorrow: no number is in its tag."""
        return not self.digest and not any(character.isdigit() for character in self.tag)

    def at(self, digest: str) -> Reference:
        """Return the same name, bound to `digest`."""
        return replace(self, digest=digest)

    @property
    def pinned(self) -> str:
        """Return `repository@digest`, as the engine lists what it holds."""
        return f"{self.repository}@{self.digest}"

    def __str__(self) -> str:
        name = self.tagged or self.repository
        return f"{name}@{self.digest}" if self.digest else name


def parse_reference(text: str) -> Reference:
    """Return the reference that `text` means. Raises `RecipeInvalid` if it is none."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise RecipeInvalid([f"{text!r} is no image reference"], hint="write name:tag")
    domain, path = match["domain"] or "", match["path"]
    if domain and not (set(".:") & set(domain) or domain == "localhost"):
        domain, path = "", f"{domain}/{path}"
    if domain in _default_names():
        domain = ""
    if not domain and "/" not in path:
        path = f"library/{path}"
    digest = match["digest"] or ""
    return Reference(domain, path, match["tag"] or ("" if digest else "latest"), digest)


def _default_names() -> tuple[str, ...]:
    from docker.auth import INDEX_NAME

    return (INDEX_NAME, f"index.{INDEX_NAME}")
