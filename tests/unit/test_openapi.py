"""The HTTP API is what `docs/openapi.json` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from warminfra.service.app import build_app

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


class _Parts:
    """Stands for the parts: describing the API calls none of them."""

    def __getattr__(self, name: str) -> Any:
        return self


def test_the_api_is_as_documented() -> None:
    """Whoever changes the API changes its description in the same step
    (`python -m tests.unit.test_openapi` writes it)."""
    assert json.loads(DOCUMENT.read_text()) == _openapi()


def _openapi() -> dict[str, Any]:
    app = build_app(cast(Any, _Parts()), cast(Any, None), lambda instances, purge: None)
    return app.openapi()


if __name__ == "__main__":
    DOCUMENT.write_text(json.dumps(_openapi(), indent=1, sort_keys=True) + "\n")
