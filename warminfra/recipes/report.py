"""What is told about a recipe that was read: one JSON document, without the app's values."""

from __future__ import annotations

from typing import Any

from warminfra.recipes.credentials import masked
from warminfra.recipes.model import Collision, RecipeFolder, RecipeVersion, Service

SCHEMA = "warminfra.recipe-report/v1"


def report(recipe: RecipeFolder) -> dict[str, Any]:
    """Return all of it: both versions, what collides, what is odd."""
    return {
        "schema": SCHEMA,
        "recipe": recipe.name,
        "path": str(recipe.path),
        "tags": list(recipe.tags),
        "current": _version(recipe.current),
        "previous": _version(recipe.previous) if recipe.previous else None,
    }


def collision_row(collision: Collision) -> dict[str, str]:
    """Return one collision."""
    return {
        "kind": collision.kind,
        "service": collision.service,
        "what": collision.what,
        "severity": collision.severity.value,
        "separation": collision.separation.value,
        "how": collision.how,
        "place": str(collision.place),
    }


def _version(version: RecipeVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "tag": version.tag,
        "commit": version.commit,
        "compose_files": list(version.compose_files),
        "timeout_s": version.timeout.total_seconds() if version.timeout else None,
        "services": {name: _service(service) for name, service in version.services.items()},
        "images": [
            {
                "service": use.service,
                "reference": use.reference,
                "overlay": use.overlay,
                "chosen": use.chosen,
                "floating": use.floating,
                "place": str(use.place),
            }
            for use in version.images
        ],
        "secrets": {
            name: {
                "full_name": need.full_name,
                "version": need.version,
                "external": need.external,
                "length": need.length,
                "charset": need.charset,
                "generate": need.generate,
            }
            for name, need in version.secrets.items()
        },
        "configs": {
            name: {"full_name": need.full_name, "version": need.version, "file": need.file}
            for name, need in version.configs.items()
        },
        "networks": {
            name: {"external": network.external, "fixed_name": network.fixed_name}
            for name, network in version.networks.items()
        },
        "volumes": {
            name: {"external": volume.external, "fixed_name": volume.fixed_name}
            for name, volume in version.volumes.items()
        },
        "backups": [
            {
                "service": backup.service,
                "form": backup.form.value,
                "enabled": backup.enabled,
                "paths": list(backup.paths),
                "volumes": dict(backup.volumes),
                "hooks": {
                    name: hook
                    for name, hook in (
                        ("backup.pre", backup.pre_hook),
                        ("backup.post", backup.post_hook),
                        ("restore.pre", backup.restore_pre_hook),
                        ("restore.post", backup.restore_post_hook),
                    )
                    if hook
                },
            }
            for backup in version.backups
        ],
        "collisions": [collision_row(collision) for collision in version.collisions],
        "warnings": [str(warning) for warning in version.warnings],
    }


def _service(service: Service) -> dict[str, Any]:
    return {
        "image": service.image,
        "replicas": service.replicas,
        "networks": list(service.networks),
        "ports": [
            {"published": p.published, "target": p.target, "mode": p.mode, "protocol": p.protocol}
            for p in service.ports
        ],
        "mounts": [
            {"kind": m.kind, "source": m.source, "target": m.target, "read_only": m.read_only}
            for m in service.mounts
        ],
        "secrets": list(service.secrets),
        "configs": list(service.configs),
        "environment": sorted(service.environment),
        "labels": {name: masked(name, value) for name, value in service.labels.items()},
        "health_check": service.health_check,
        "health_interval_s": (
            service.health_interval.total_seconds() if service.health_interval else None
        ),
    }
