"""The compose files of a recipe: which there are, which the app has chosen, and each one read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warminfra.config.words import nearest
from warminfra.recipes.credentials import is_credential
from warminfra.recipes.dotenv import Variable
from warminfra.recipes.interpolation import Uninterpolable, interpolate
from warminfra.recipes.located import Items, Table, YamlBroken, load, mapped
from warminfra.recipes.long_forms import lengthened
from warminfra.recipes.merging import SECTIONS
from warminfra.recipes.model import Place, Remark
from warminfra.recipes.reading import Reading

DEFAULT = "compose.yml"
NEWEST = "3.13"
"""What the engine takes a file for that names no version."""

_PATTERNS = ("compose*.yml", "compose*.yaml", "*/compose*.yml", "*/compose*.yaml")
_TOP = frozenset({"version", "name", *SECTIONS})
_SERVICE_KEYS = frozenset(
    word
    for line in (
        "build cap_add cap_drop cgroup_parent cgroupns_mode command configs container_name",
        "credential_spec depends_on deploy devices dns dns_search domainname entrypoint env_file",
        "environment expose external_links extra_hosts healthcheck hostname image init ipc",
        "isolation labels links logging mac_address network_mode networks oom_score_adj pid ports",
        "privileged read_only restart secrets security_opt shm_size stdin_open stop_grace_period",
        "stop_signal sysctls tmpfs tty ulimits user userns_mode volumes working_dir",
    )
    for word in line.split()
)
"""What the engine knows in a service of a stack (compose schema 3.13)."""

_LISTS = ("ports", "volumes", "secrets", "configs")
_PASSED_OVER = frozenset(
    {"build", "container_name", "depends_on", "links", "network_mode", "restart", "external_links"}
    | {"cgroup_parent", "devices", "security_opt", "userns_mode", "mac_address"}
)
"""What `docker stack deploy` reads and passes over."""


@dataclass(frozen=True)
class ComposeFile:
    """One file. `written` as it is, `interpolated` with the app's environment."""

    name: str
    written: Table
    interpolated: Table


def chosen_files(
    reading: Reading, environment: Mapping[str, str], variable: Variable | None
) -> list[str]:
    """Return the files that `COMPOSE_FILE` names, in order."""
    given = environment.get("COMPOSE_FILE") or DEFAULT
    place = variable.place if variable else Place(reading.path(DEFAULT), 1)
    names = list(dict.fromkeys(part.strip() for part in given.split(":") if part.strip()))
    if given.startswith(":"):
        # `COMPOSE_FILE="$COMPOSE_FILE:compose.x.yml"` as the first line: the default is meant.
        names.insert(0, DEFAULT)
        reading.remarks.append(Remark(place, f"COMPOSE_FILE was empty before; {DEFAULT} is taken"))
    there = sorted(existing(reading.folder))
    good = []
    for name in names:
        path = (reading.folder / name).resolve()
        if not path.is_relative_to(reading.folder):
            reading.fault(place, f"COMPOSE_FILE: {name!r} leads out of the recipe")
        elif not path.is_file() and reading.before and name != DEFAULT:
            reading.remarks.append(Remark(place, f"COMPOSE_FILE: {name} is not there yet"))
        elif not path.is_file():
            reading.fault(place, f"COMPOSE_FILE: {name} is not there; {nearest(name, there)}")
        else:
            good.append(name)
    return good


def check_versions(reading: Reading, files: Sequence[ComposeFile]) -> None:
    """Note a file whose `version` is not that of the first: the engine merges no such files."""
    first = str(files[0].written.get("version", NEWEST))
    for file in files:
        version = file.written.get("version", NEWEST)
        place = file.written.at("version")
        if not isinstance(version, str):
            reading.fault(place, f'version {version} is no text; expected version: "{version}"')
        elif version != first:
            reading.fault(
                place,
                f"version {version} beside version {first} of {files[0].name}; "
                f"expected the same in both (none stands for {NEWEST})",
            )


def existing(folder: Path) -> Iterator[str]:
    """Yield the names of all compose files, those of subfolders too."""
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            if path.is_file():
                yield str(path.relative_to(folder))


def other_files(
    reading: Reading, chosen: Iterable[str], environment: Mapping[str, str]
) -> list[ComposeFile]:
    """Return the overlays that the app has not chosen; one that cannot be read is a warning."""
    found = []
    for name in sorted(set(existing(reading.folder)) - set(chosen)):
        apart = Reading(reading.folder, reading.shown)
        file = read_file(apart, name, environment, quiet=True)
        if file is not None and not apart.faults:
            found.append(file)
        reading.remarks += [
            Remark(fault.place, f"not chosen, and it would not work: {fault.text}")
            for fault in apart.faults
        ]
    return found


def read_file(
    reading: Reading, name: str, environment: Mapping[str, str], *, quiet: bool = False
) -> ComposeFile | None:
    """Return one file, or None after noting why not. `quiet`: no warnings of it."""
    shown = reading.path(name)
    text = reading.text(name)
    if text is None:
        return None
    try:
        written, remarks = load(text, shown)
    except YamlBroken as error:
        place, _, what = str(error).partition(": ")
        file, _, line = place.rpartition(":")
        reading.fault(Place(file, int(line)), what)
        return None
    interpolated = _interpolated(reading, written, environment, remarks)
    _check(reading, interpolated, remarks)
    if not quiet:
        reading.remarks += remarks
    return ComposeFile(name, written, interpolated)


def _interpolated(
    reading: Reading, written: Table, environment: Mapping[str, str], remarks: list[Remark]
) -> Table:
    def change(text: str, place: Place) -> Any:
        unset: set[str] = set()
        try:
            changed = interpolate(text, environment, unset)
        except Uninterpolable as error:
            reading.fault(place, str(error))
            return text
        for name in sorted(unset):
            remarks.append(Remark(place, f"{name} is not set, and is taken as empty"))
        return changed

    result = Table(written.place)
    for key, value, place in written.entries():
        result.put(key, mapped(value, change, place) if key in SECTIONS else value, place)
    return result


def _check(reading: Reading, file: Table, remarks: list[Remark]) -> None:
    for key, value, place in file.entries():
        if key not in _TOP and not key.startswith("x-"):
            reading.fault(place, f"{key!r} is unknown; {nearest(key, _TOP)}")
        elif key in SECTIONS and value is not None and not isinstance(value, Table):
            reading.fault(place, f"{key} is not a mapping of names")
    services = file.get("services")
    for name, body, place in services.entries() if isinstance(services, Table) else ():
        if not isinstance(body, Table):
            reading.fault(place, f"service {name} is not a mapping")
            continue
        _check_service(reading, name, lengthened("services", body), remarks)


def _check_service(reading: Reading, name: str, body: Table, remarks: list[Remark]) -> None:
    for key, value, place in body.entries():
        if key not in _SERVICE_KEYS and not key.startswith("x-"):
            reading.fault(
                place, f"service {name}: {key!r} is unknown; {nearest(key, _SERVICE_KEYS)}"
            )
        elif key in _PASSED_OVER:
            remarks.append(Remark(place, f"service {name}: a stack passes {key} over"))
        elif key in ("labels", "deploy"):
            labels = value.get("labels") if key == "deploy" and isinstance(value, Table) else value
            _check_texts(reading, name, labels)
        elif key == "environment" and isinstance(value, Table):
            _check_texts(reading, name, value)
            for variable, given, at in value.entries():
                if isinstance(given, str) and is_credential(variable, given):
                    remarks.append(
                        Remark(at, f"service {name}: {variable} is a credential in plain text")
                    )
        elif key in _LISTS and value is not None and not isinstance(value, Items):
            reading.fault(place, f"service {name}: {key} is not a list")


def _check_texts(reading: Reading, name: str, table: Any) -> None:
    for key, value, place in table.entries() if isinstance(table, Table) else ():
        if isinstance(value, bool | Table | Items):
            form = '"true"' if value is True else '"false"' if value is False else "a text"
            reading.fault(place, f"service {name}: {key} is no text or number; expected {form}")
