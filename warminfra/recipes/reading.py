"""What one reading of a recipe has found so far: faults, and what is only odd."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from warminfra.recipes.model import Place, Remark


@dataclass
class Reading:
    """What was found so far in one folder. `shown` is the folder as a person would type it."""

    folder: Path
    shown: str
    before: bool = False
    """It is the version before: the app's environment may name overlays that came later."""
    faults: list[Remark] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def fault(self, place: Place, text: str) -> None:
        self.faults.append(Remark(place, text))

    def path(self, name: str) -> str:
        """Return a file's path as it is shown."""
        return f"{self.shown}/{name}" if self.shown not in ("", ".") else name

    def text(self, name: str) -> str | None:
        """Return the text of a file; None if there is none, or after noting what is wrong."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            self.fault(Place(self.path(name), 1), f"cannot be read: {type(error).__name__}")
            return None
