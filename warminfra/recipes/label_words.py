"""Reads Co-op Cloud's labels: version, time-out, and what a backup takes, in both forms.

A key may still hold `${STACK_NAME}`: in a mapping, the engine does not interpolate keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from warminfra.recipes.model import Backup, BackupForm, Place, Remark, Service

_COOP = re.compile(r"coop-cloud\.(?P<stack>.+)\.(?P<word>version|timeout|chaos|chaos-version)")
_VERSION = re.compile(r"[0-9][^+\s]*\+\S+")
_VOLUME = re.compile(r"volumes\.(?P<name>[^.]+)(?P<path>\.path)?")
_YES = ("true", "1", "yes")
_HOOKS = ("pre-hook", "post-hook")


def version_label(
    services: Mapping[str, Service], remarks: list[Remark]
) -> tuple[str, timedelta | None]:
    """Return the version that the labels tell, and the time-out of a deploy."""
    version, timeout, labelled = "", None, False
    for service in services.values():
        for key, value in service.labels.items():
            match = _COOP.fullmatch(key)
            place = service.label_places.get(key, service.place)
            if match and match["word"] == "version":
                labelled = True
                version = value or version
                if not value:
                    remarks.append(Remark(place, "the version label is empty"))
                elif not _VERSION.fullmatch(value):
                    remarks.append(Remark(place, f"{value!r} is not <recipe>+<app>"))
            elif match and match["word"] == "timeout" and value:
                if value.isdigit():
                    timeout = timedelta(seconds=int(value))
                else:
                    remarks.append(Remark(place, f"time-out {value!r} is no number of seconds"))
    if services and not labelled:
        first = min(service.place for service in services.values())
        remarks.append(Remark(first, "no service carries a label coop-cloud.….version"))
    return version, timeout


def backups(services: Mapping[str, Service], remarks: list[Remark]) -> tuple[Backup, ...]:
    """Return what the backup of each service takes, of services that say so."""
    found = []
    for service in services.values():
        labels = {
            key: (value, service.label_places.get(key, service.place))
            for key, value in service.labels.items()
            if key.startswith("backupbot.")
        }
        stray = [key for key in service.container_labels if key.startswith("backupbot.")]
        if stray:
            text = f"service {service.name}: {stray[0]} is outside deploy.labels and not seen"
            remarks.append(Remark(service.place, text))
        if labels:
            found.append(_backup(service.name, labels, remarks))
    return tuple(found)


def _backup(service: str, labels: Mapping[str, tuple[str, Place]], remarks: list[Remark]) -> Backup:
    enabled = False
    paths: tuple[str, ...] = ()
    volumes: dict[str, str] = {}
    hooks: dict[str, str] = {}
    for key, (value, place) in labels.items():
        group, _, word = key.removeprefix("backupbot.").partition(".")
        if key == "backupbot.backup":
            enabled = value.lower() in _YES
        elif key == "backupbot.restore":
            continue  # the hooks say what there is to do
        elif group in ("backup", "restore") and word in _HOOKS:
            hooks[f"{group}.{word}"] = value
        elif key == "backupbot.backup.path":
            paths = tuple(part.strip() for part in value.split(",") if part.strip())
        elif group == "backup" and (match := _VOLUME.fullmatch(word)):
            if match["path"]:
                volumes[match["name"]] = value
            else:
                volumes.setdefault(match["name"], "" if value.lower() in _YES else "false")
        else:
            remarks.append(Remark(place, f"{key} is no backup label that is known"))
    return Backup(
        service=service,
        form=BackupForm.V1 if "backupbot.backup.path" in labels else BackupForm.V2,
        enabled=enabled,
        paths=paths,
        volumes=MappingProxyType(volumes),
        pre_hook=hooks.get("backup.pre-hook", ""),
        post_hook=hooks.get("backup.post-hook", ""),
        restore_pre_hook=hooks.get("restore.pre-hook", ""),
        restore_post_hook=hooks.get("restore.post-hook", ""),
    )
