"""What two settings may not say together. Each rule is one line for the person who set them."""

from __future__ import annotations

from collections.abc import Mapping

from warminfra.config.kinds import show
from warminfra.config.settings import Settings, kinds


def contradictions(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """Return one line for each contradiction, at the place of a setting that somebody set."""
    return [
        *_orders(settings, origins),
        *(
            f"{origins[key]}: {key}: {what}"
            for key, what in (*_keycloak(settings, origins), *_reach(settings, origins))
        ),
    ]


_ORDERS = (
    ("leases.ttl", "leases.max_ttl"),
    ("pool.min", "pool.max"),
    ("instances.soft_cap", "instances.hard_cap"),
    ("keycloak.heap", "keycloak.memory_limit"),
    ("keycloak.dedicated_heap", "keycloak.dedicated_memory_limit"),
)
"""Pairs whose first must not be over its second."""


def _orders(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    known = {f"{section}.{key}": kind for section, key, kind in kinds()}
    found = []
    for small, large in _ORDERS:
        small_value, large_value = _value(settings, small), _value(settings, large)
        if small_value > large_value:
            at = large if origins[small] == "default" else small
            shown = f"{small} = {show(small_value, known[small])}"
            limit = f"{large} = {show(large_value, known[large])}"
            found.append(f"{origins[at]}: {at}: {shown} is over {limit}; change one of them")
    return found


def _keycloak(settings: Settings, origins: Mapping[str, str]) -> list[tuple[str, str]]:
    keycloak = settings.keycloak
    found: list[tuple[str, str]] = []
    if origins["keycloak.version"] != "default" and origins["keycloak.sha256"] == "default":
        remedy = "give the digest of that version's tar.gz"
        found.append(("keycloak.version", f"set without keycloak.sha256; {remedy}"))
    if keycloak.http_port and keycloak.http_port == keycloak.management_port:
        what = f"{keycloak.management_port} is keycloak.http_port already; choose another port"
        found.append(("keycloak.management_port", what))
    for key in ("admin_client_secret", "admin_password"):
        if getattr(keycloak, key) and getattr(keycloak, f"{key}_file"):
            what = f"keycloak.{key} is set as well; keep one of them"
            found.append((f"keycloak.{key}_file", what))
    client = keycloak.admin_client_id and (
        keycloak.admin_client_secret or keycloak.admin_client_secret_file
    )
    person = keycloak.admin_username and (keycloak.admin_password or keycloak.admin_password_file)
    if keycloak.url and not client and not person:
        remedy = "set keycloak.admin_client_id and keycloak.admin_client_secret_file"
        found.append(("keycloak.url", f"no credentials for it; {remedy}"))
    return found


_REACH_KEYS = {
    "address": ("node", "front"),
    "name": ("node",),
    "public_url": ("front",),
    "trusted_proxies": ("front",),
    "proxy_headers": ("front",),
    "ca_file": ("front",),
}
"""In which modes a key of `[reach]` means something."""


def _reach(settings: Settings, origins: Mapping[str, str]) -> list[tuple[str, str]]:
    reach = settings.reach
    found: list[tuple[str, str]] = []
    for key, modes in _REACH_KEYS.items():
        if origins[f"reach.{key}"] != "default" and reach.mode not in modes:
            meant = " or ".join(f'"{mode}"' for mode in modes)
            what = f'means nothing in reach.mode "{reach.mode}"; set reach.mode to {meant}'
            found.append((f"reach.{key}", what))
    if reach.mode == "front":
        if not reach.public_url:
            found.append(("reach.mode", "front needs the proxy's URL; set reach.public_url"))
        elif reach.one_server and not settings.keycloak.http_port:
            remedy = "set keycloak.http_port, or put {port} into the URL"
            found.append(("reach.public_url", f"names no port of the server; {remedy}"))
    if reach.mode != "host" and settings.keycloak.url:
        what = f"{reach.mode} is for servers of ours, and keycloak.url is set; remove one of them"
        found.append(("reach.mode", what))
    if reach.name == "localhost" or reach.name.endswith(".localhost"):
        what = f"{reach.name} is loopback for browsers and curl, whatever hosts say; use another"
        found.append(("reach.name", what))
    return found


def _value(settings: Settings, key: str) -> float:
    section, name = key.split(".")
    value = getattr(getattr(settings, section), name)
    return float(value.total_seconds() if hasattr(value, "total_seconds") else value)
