"""Words for faults: how a key is written, and what a misspelt one may have meant."""

from __future__ import annotations

from collections.abc import Collection


def dotted(key: Collection[str | int]) -> str:
    """Return a key path as people write it: `sso.users.0.roles`."""
    return ".".join(str(part) for part in key)


def nearest(word: str, known: Collection[str]) -> str:
    """Return the clause that names what `word` may have meant."""
    from difflib import get_close_matches  # only an error needs it

    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(sorted(known))}" if known else "nothing is known here"
