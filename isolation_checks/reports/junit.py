"""`junit.xml`: checks, mutants and programs as cases; crossed is a failure, unknown an error."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from isolation_checks.events import Checked, Event, Finding, Planted, Program, Trouble


def junit(events: Sequence[Event]) -> str:
    """Return the document."""
    suite = ElementTree.Element("testsuite", name="warminfra audit")
    failures = errors = 0
    for event in events:
        match event:
            case Checked(check, _, _, _, seconds):
                _case(suite, "check", check, seconds)
            case Program(number, seed, _, _):
                _case(suite, "program", f"{number} (seed {seed})", 0.0)
            case Planted(mutant, title, _, killed_by, _, seconds):
                case = _case(suite, "mutant", f"{mutant} {title}", seconds)
                if not killed_by:
                    failures += 1
                    ElementTree.SubElement(case, "failure", message="not seen")
            case Finding():
                failures += 1
                case = _case(suite, "finding", event.name, 0.0)
                failure = ElementTree.SubElement(case, "failure", message=event.detail)
                failure.text = "\n".join(event.trace)
            case Trouble(where, what):
                errors += 1
                case = _case(suite, "trouble", where, 0.0)
                ElementTree.SubElement(case, "error", message=what)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=f"audit.{group}", name=name, time=f"{seconds:.3f}"
    )
