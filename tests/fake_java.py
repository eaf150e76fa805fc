"""A Java small enough for a test: a script that tells its version."""

from __future__ import annotations

from pathlib import Path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def java_in(folder: Path, version: str) -> Path:
    """Make a Java that does nothing but tell its version; return its home."""
    told = f"java.home = {folder}\\n java.runtime.version = {version}\\n java.vendor = Test"
    script(folder / "bin" / "java", f"#!/bin/sh\nprintf ' {told}\\n' >&2\n")
    return folder
