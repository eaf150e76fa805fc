"""`junit.xml`: checks, mutants and programs as cases; crossed is a failure, unknown an error.

What the reviewer has accepted is skipped. A verdict that is no `approve` is never all green.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from isolation_checks.events import Checked, Event, Finding, Planted, Program, Trouble, explanations
from isolation_checks.verdict import Outcome


def junit(events: Sequence[Event], outcome: Outcome) -> str:
    """Return the document."""
    suite = ElementTree.Element("testsuite", name="warminfra audit")
    failures = errors = skipped = 0
    told: set[str] = set()
    known = explanations(events)
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
            case Finding() if event.name in outcome.accepted:
                skipped += 1
                case = _case(suite, "finding", event.name, 0.0)
                ElementTree.SubElement(case, "skipped", message="accepted by the reviewer")
            case Finding():
                failures += 1
                case = _case(suite, "finding", event.name, 0.0)
                failure = ElementTree.SubElement(case, "failure", message=event.detail)
                avoided = known.get(event.name)
                remedy = [f"avoided by: {avoided.avoided_by}"] if avoided else []
                failure.text = "\n".join([*event.trace, *remedy])
            case Trouble(where, what):
                errors += 1
                told.add(f"{where}: {what}")
                case = _case(suite, "trouble", where, 0.0)
                ElementTree.SubElement(case, "error", message=what)
    if outcome.outcome == "inconclusive":
        for reason in outcome.reasons:
            if reason not in told:
                errors += 1
                case = _case(suite, "verdict", reason, 0.0)
                ElementTree.SubElement(case, "error", message=reason)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))
    suite.set("skipped", str(skipped))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=f"audit.{group}", name=name, time=f"{seconds:.3f}"
    )
