"""Reads one version of a recipe from a folder: environment, compose files, and what they say.

All faults are found before one `RecipeInvalid` names them; what is odd and harmless becomes a
warning. No credential of the app's environment is in either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from warminfra.core.errors import RecipeInvalid
from warminfra.recipes import shape
from warminfra.recipes.collisions import collisions
from warminfra.recipes.compose_files import (
    ComposeFile,
    check_versions,
    chosen_files,
    other_files,
    read_file,
)
from warminfra.recipes.credentials import Redactor
from warminfra.recipes.dotenv import Variables, read_abra, read_env
from warminfra.recipes.label_words import backups, version_label
from warminfra.recipes.located import Table
from warminfra.recipes.merging import merge
from warminfra.recipes.model import ImageUse, Place, RecipeVersion, Remark
from warminfra.recipes.reading import Reading
from warminfra.recipes.secret_needs import secrets, version_variables
from warminfra.recipes.stack_config import Refused, client, stack_config

STACK = "warminfra-stack"
"""The stack's name where none is given: what does not hold it is a fixed name."""

DOMAIN = "app.warminfra.invalid"
"""The app's domain where none is given."""

SAMPLE, ABRA = ".env.sample", "abra.sh"


def read_version(
    folder: Path,
    *,
    shown: str = "",
    env: str | None = None,
    env_file: str = "the app's .env",
    stack: str | None = None,
    domain: str | None = None,
    tag: str = "",
    commit: str = "",
    before: bool = False,
    by_engine: bool = True,
) -> RecipeVersion:
    """Return the recipe version in `folder`.

    `env` is the text of the app's `.env`; without one the recipe's sample stands for it. `stack`
    and `domain` are the run's. `before`: it is what an upgrade starts from. With `by_engine` the
    engine's client merges, if there is one.
    Raises `RecipeInvalid` with all faults at once.
    """
    folder = folder.resolve()
    reading = Reading(folder, shown or str(folder), before=before)
    sample, app = _variables(reading, env, env_file)
    exported = _exported(reading)
    stack = stack or app.values_by_name().get("STACK_NAME") or STACK
    if domain is None:
        domain = (app.values_by_name().get("DOMAIN") if env is not None else None) or DOMAIN
    if env is None:  # the sample's own domain stands in other values too
        text = reading.text(SAMPLE) or ""
        app = _with_domain(text, reading.path(SAMPLE), domain)
    environment = {
        **app.values_by_name(),
        **exported.values_by_name(),
        "STACK_NAME": stack,
        "DOMAIN": domain,
    }
    redact = Redactor(environment)
    chosen = chosen_files(reading, environment, app.get("COMPOSE_FILE"))
    files = [file for name in chosen if (file := read_file(reading, name, environment)) is not None]
    if files:
        check_versions(reading, files)
    if not files or reading.faults:
        _give_up(reading, redact)
    ours = merge([file.interpolated for file in files])
    merged = _merged_by_engine(reading, files, environment, ours) if by_engine else ours
    raw = [file.written for file in files]
    services = shape.services(merged, ours, reading.fault)
    if not services:
        reading.fault(files[0].written.place, "there are no services")
    version, timeout = version_label(services, reading.remarks)
    known = Variables({**app, **exported})
    config_versions = {
        name: environment.get(variable, "")
        for name, variable in version_variables(raw, "configs").items()
    }
    result = RecipeVersion(
        version=version or tag,
        tag=tag,
        commit=commit,
        compose_files=tuple(chosen),
        services=MappingProxyType(services),
        images=_images(reading, files, services.keys(), environment, ours),
        secrets=MappingProxyType(
            secrets(
                *(merged, ours, stack, version_variables(raw, "secrets")),
                *(known, sample, reading.remarks),
            )
        ),
        configs=MappingProxyType(shape.configs(merged, ours, stack, folder, config_versions)),
        networks=MappingProxyType(shape.networks(merged, ours, stack)),
        volumes=MappingProxyType(shape.volumes(merged, ours, stack)),
        backups=backups(services, reading.remarks),
        timeout=timeout,
        collisions=(),
        warnings=(),
    )
    _lacking(reading, result)
    if reading.faults:
        _give_up(reading, redact)
    return finished(result, reading, redact, stack, domain)


def finished(
    version: RecipeVersion, reading: Reading, redact: Redactor, stack: str, domain: str
) -> RecipeVersion:
    """Return the version with collisions and warnings, free of credentials."""
    found = collisions(version, stack, domain)
    warnings = sorted({Remark(r.place, redact(r.text)) for r in reading.remarks})
    return replace(version, collisions=found, warnings=tuple(warnings))


def _variables(reading: Reading, env: str | None, env_file: str) -> tuple[Variables, Variables]:
    text = reading.text(SAMPLE)
    if text is None and env is None:
        reading.remarks.append(Remark(Place(reading.path(SAMPLE), 1), "there is none"))
    sample, remarks = read_env(text or "", reading.path(SAMPLE), {})
    if env is None:
        reading.remarks += remarks
        return sample, sample
    app, remarks = read_env(env, env_file, {})
    reading.remarks += remarks
    return sample, app


def _with_domain(text: str, file: str, domain: str) -> Variables:
    found, _ = read_env(text, file, {})
    given = found["DOMAIN"].value if "DOMAIN" in found else ""
    if not given:
        return found
    return read_env(text.replace(given, domain), file, {})[0]


def _exported(reading: Reading) -> Variables:
    text = reading.text(ABRA)
    if text is None:
        return Variables()
    exported, remarks = read_abra(text, reading.path(ABRA))
    reading.remarks += remarks
    return exported


def _merged_by_engine(
    reading: Reading, files: list[ComposeFile], environment: Mapping[str, str], ours: Table
) -> Table:
    program = client()
    if program is None:
        return ours
    try:
        names = [file.name for file in files]
        return stack_config(program, reading.folder, names, environment)
    except Refused as error:
        reading.fault(files[0].written.place, f"the engine refuses it: {error}")
        return ours


def _images(
    reading: Reading,
    files: list[ComposeFile],
    services: object,
    environment: Mapping[str, str],
    ours: Table,
) -> tuple[ImageUse, ...]:
    names = [file.name for file in files]
    found = []
    for file in [*files, *other_files(reading, names, environment)]:
        body = file.interpolated.get("services")
        for service, entry in sorted(body.items()) if isinstance(body, Table) else ():
            image = entry.get("image") if isinstance(entry, Table) else None
            if isinstance(image, str) and image.strip():
                place = entry.at("image")
                chosen = (
                    file.name in names and shape.where(ours, "services", service, "image") == place
                )
                found.append(ImageUse(service, image.strip(), place, file.name, chosen))
    return tuple(found)


def _lacking(reading: Reading, version: RecipeVersion) -> None:
    """Note configs whose file is not there, and what services use without its being declared."""
    for config in version.configs.values():
        path = (reading.folder / config.file).resolve()
        if config.file and not path.is_relative_to(reading.folder):
            # The engine would read any file of the node into the stack.
            reading.fault(config.place, f"config {config.name}: its file leads out of the recipe")
        elif config.file and not path.is_file():
            reading.fault(config.place, f"config {config.name}: {config.file} is not there")
    declared = {"secrets": version.secrets, "configs": version.configs}
    for service in version.services.values():
        for section, names in (("secrets", service.secrets), ("configs", service.configs)):
            for name in names:
                if name not in declared[section]:
                    reading.fault(
                        service.place, f"service {service.name}: {section} {name} is not declared"
                    )
        for name in service.networks:
            if name != "default" and name not in version.networks:
                reading.fault(
                    service.place, f"service {service.name}: network {name} is not declared"
                )
        for mount in service.mounts:
            if mount.kind == "volume" and mount.source and mount.source not in version.volumes:
                reading.fault(
                    mount.place, f"service {service.name}: volume {mount.source} is not declared"
                )


def _give_up(reading: Reading, redact: Redactor) -> None:
    lines = dict.fromkeys(redact(str(fault)) for fault in sorted(reading.faults))
    raise RecipeInvalid(lines or [f"{reading.shown}: no compose file could be read"])
