"""The provider-side description of a tenant, and what in it could open a channel.

A template is plain JSON. Two recipes with the same template share a pool; a change of one byte of
its meaning gives another `template_hash`, and pooled tenants with the old hash are retired. Its
*features* are what a verdict has to cover before a tenant of it may be shared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from warminfra.core.ids import TemplateHash

DEFAULT_CLIENT_ID = "{recipe}-{lease}"
DOMAIN = "{domain}"


@dataclass(frozen=True, slots=True)
class UserSpec:
    """A user that each tenant of the template has; the password is drawn for each tenant."""

    username: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """The app's client. `id_pattern` takes `{recipe}` and `{lease}`, `redirect_uris` `{domain}`."""

    id_pattern: str = DEFAULT_CLIENT_ID
    redirect_uris: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes of the client in the provider's own words."""
    realm_client: str = ""
    """Which client of the realm file is the app's; "" leaves it to the provider."""
    repeated: Mapping[str, Any] = field(default_factory=dict)
    """What every change of the client has to say again, by its provider's word."""


@dataclass(frozen=True, slots=True)
class Template:
    """A normalised tenant description: no ids, no keys, no secrets, no order that has no meaning.

    `base` is the provider's own document (Keycloak: a cleaned realm representation), `features`
    the provider-specific features that its normaliser found in it.
    """

    provider: str
    recipe: str
    client: ClientSpec
    users: tuple[UserSpec, ...] = ()
    admin: bool = False
    base: Mapping[str, Any] = field(default_factory=dict)
    base_features: tuple[str, ...] = ()

    @property
    def features(self) -> frozenset[str]:
        """Return everything that a verdict must cover for this template to be shared."""
        found = set(self.base_features)
        if "{lease}" not in self.client.id_pattern:
            found.add("client.fixed-id")
        if any(DOMAIN not in uri for uri in self.client.redirect_uris):
            found.add("client.fixed-redirect")
        found |= {f"client.settings.{key}" for key in self.client.settings}
        if self.admin:
            found.add("admin")
        return frozenset(found)

    @property
    def lease_class(self) -> str:
        """Return the attacker class of a holder: `admin` if it gets an admin client, or `user`."""
        return "admin" if self.admin else "user"

    def to_json(self) -> str:
        """Return the canonical text: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> TemplateHash:
        """Return the digest that decides which pooled tenants fit: 32 hex digits of SHA-256."""
        return TemplateHash(hashlib.sha256(self.to_json().encode()).hexdigest()[:32])


def template_from_json(text: str) -> Template:
    """Rebuild a template from `Template.to_json`."""
    data = json.loads(text)
    client = data["client"]
    return Template(
        provider=data["provider"],
        recipe=data["recipe"],
        client=ClientSpec(**{**client, "redirect_uris": tuple(client["redirect_uris"])}),
        users=tuple(UserSpec(**{**user, "roles": tuple(user["roles"])}) for user in data["users"]),
        admin=data["admin"],
        base=data["base"],
        base_features=tuple(data["base_features"]),
    )
