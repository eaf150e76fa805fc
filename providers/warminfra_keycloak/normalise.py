"""Makes a template of a recipe's client, users and, if it brings one, a realm export."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from warminfra.core.errors import RecipeInvalid
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra_keycloak.cleaning import BUILT_IN_CLIENTS, Cleaner
from warminfra_keycloak.dangling import dangling
from warminfra_keycloak.features import features_of
from warminfra_keycloak.problems import problems_of
from warminfra_keycloak.realm import with_defaults
from warminfra_keycloak.references import CLIENT, DEFAULT_ROLE, Json

MOST_USERS = 50
"""Users of a realm file that get a password with each lease; one costs the server some 20 ms."""


def make_template(
    recipe: str,
    client: ClientSpec,
    users: Sequence[UserSpec],
    *,
    admin: bool,
    realm: Mapping[str, Any] | None,
) -> tuple[Template, list[str]]:
    """Return the template and a line for each kind of thing taken out of the realm file.

    Raises `RecipeInvalid` with all problems at once.
    """
    problems = problems_of(client, realm or {})
    if problems:
        raise RecipeInvalid(problems)
    cleaner = Cleaner(recipe, client, copy.deepcopy(dict(realm or {})))
    try:
        base = cleaner.clean()
        people = frozenset(user.username.lower() for user in users)
        problems = dangling(base, BUILT_IN_CLIENTS, people)
        base_features = features_of(
            {**base, "clients": [*base.get("clients", []), _as_client(client)]}
        )
    except (AttributeError, KeyError, TypeError) as error:
        # The usual parts were looked at; some part deep inside has another shape than an export's.
        raise RecipeInvalid([f"realm_file: not the shape of a realm export ({error})"]) from error
    if problems:
        raise RecipeInvalid(problems)
    lines = cleaner.lines()
    if not users:
        users, told = _users_of(base)
        lines += told
    return (
        Template(
            provider="keycloak",
            recipe=recipe,
            client=replace(
                client, redirect_uris=tuple(client.redirect_uris), repeated=_repeated(base)
            ),
            users=tuple(with_defaults(_completed(user, base)) for user in users),
            admin=admin,
            base=base,
            base_features=base_features,
        ),
        lines,
    )


def _repeated(base: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a PUT of the app's client must not leave out: the server takes it for a no, and
    deletes every policy."""
    key = "authorizationServicesEnabled"
    app = [client for client in base.get("clients", []) if client["clientId"] == CLIENT]
    return {key: True} if any(client.get(key) for client in app) else {}


def _users_of(base: Mapping[str, Any]) -> tuple[list[UserSpec], list[str]]:
    """Return the people of the realm file, in the order of their names, and what to say of it."""
    people = [
        user
        for user in base.get("users", [])
        if user.get("enabled") and not user.get("serviceAccountClientId")
    ]
    leased = [
        UserSpec(
            user["username"],
            roles=tuple(role for role in user.get("realmRoles", []) if role != DEFAULT_ROLE),
        )
        for user in people[:MOST_USERS]
    ]
    told = []
    if len(people) > MOST_USERS:
        told.append(
            f"passwords of {len(people) - MOST_USERS} users after the first {MOST_USERS}: "
            "name those that are needed as [[sso.users]]"
        )
    return leased, told


def _completed(user: UserSpec, base: Mapping[str, Any]) -> UserSpec:
    """Return the recipe's user with what the realm file knows of it besides."""
    for known in base.get("users", []):
        if known["username"].lower() == user.username.lower():
            return replace(
                user,
                email=user.email or known.get("email", ""),
                first_name=user.first_name or known.get("firstName", ""),
                last_name=user.last_name or known.get("lastName", ""),
            )
    return user


def _as_client(spec: ClientSpec) -> Json:
    """Return the recipe's client settings in the form in which features are looked for."""
    attributes = {name: value for name, value in spec.settings.items() if "." in name}
    attributes |= spec.settings.get("attributes", {})
    return {**spec.settings, "clientId": CLIENT, "attributes": attributes}
