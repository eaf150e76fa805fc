"""Settings: every value with its origin. Standard library only, because start-up counts."""

from warminfra.config.kinds import parse_duration, parse_size, show_duration
from warminfra.config.load import Loaded, load, rows
from warminfra.config.settings import (
    Instances,
    Keycloak,
    Leases,
    Pool,
    Reach,
    Service,
    Settings,
    Sharing,
    section_mapping,
)

__all__ = [
    "Instances",
    "Keycloak",
    "Leases",
    "Loaded",
    "Pool",
    "Reach",
    "Service",
    "Settings",
    "Sharing",
    "load",
    "parse_duration",
    "parse_size",
    "rows",
    "section_mapping",
    "show_duration",
]
