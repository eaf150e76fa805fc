"""The roles that a token is expected to carry: a recipe's realm file is no privilege growth."""

from __future__ import annotations

import base64
import json
from typing import Any

from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra_keycloak.audit.roles import granted, in_token

OF_ALL = {
    "default-roles-{realm}",
    "offline_access",
    "uma_authorization",
    "account/manage-account",
    "account/manage-account-links",
    "account/view-profile",
}
BASE: dict[str, Any] = {
    "roles": {
        "realm": [
            {
                "name": "manager",
                "composites": {"realm": ["editor"], "client": {"{client}": ["write"]}},
            },
            {"name": "editor", "composites": {"realm": ["reader"]}},
            {"name": "reader", "composites": {"realm": ["editor"]}},
            {"name": "default-roles-{realm}", "composites": {"realm": ["member"]}},
        ],
        "client": {"{client}": [{"name": "write"}]},
    },
    "groups": [
        {
            "name": "staff",
            "realmRoles": ["worker"],
            "subGroups": [{"name": "desk", "clientRoles": {"account": ["manage-consent"]}}],
        }
    ],
    "users": [{"username": "Alice", "realmRoles": ["manager"], "groups": ["/staff/desk"]}],
}


def template(base: dict[str, Any], *users: UserSpec) -> Template:
    return Template("keycloak", "r", ClientSpec(), users, base=base)


def token(claims: dict[str, Any]) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


def test_a_user_of_a_recipe_without_a_realm_file_has_its_roles_and_the_defaults() -> None:
    """What the recipe says, and what every user of a new realm has."""
    found = granted(template({}, UserSpec("alice", roles=("editor",)), UserSpec("bob")))
    assert found == {"alice": OF_ALL | {"editor"}, "bob": OF_ALL}


def test_a_realm_files_composites_groups_and_default_role_are_granted() -> None:
    """Roles in roles (in a circle too), a group's and its parent's, and what the default has."""
    found = granted(template(BASE, UserSpec("alice", roles=("extra",))))
    assert found["alice"] == OF_ALL | {
        "manager", "editor", "reader", "{client}/write", "member", "worker", "extra",
        "account/manage-consent", "account/view-consent",
    }  # fmt: skip


def test_what_the_server_puts_inside_a_managing_role_is_granted_with_it() -> None:
    """Who may view users may also query them, by the server's own making."""
    users = [{"username": "a", "clientRoles": {"realm-management": ["view-users"]}}]
    found = granted(template({"users": users}, UserSpec("a")))
    assert found["a"] - OF_ALL == {
        f"realm-management/{role}" for role in ("view-users", "query-users", "query-groups")
    }


def test_a_tokens_roles_go_by_the_names_of_the_template() -> None:
    """The default role and the app's client are called otherwise in every lease."""
    lease = {"issuer": "http://s/realms/wi-1", "client": {"id": "app-1"}}
    carried = in_token(
        token(
            {
                "realm_access": {"roles": ["editor", "default-roles-wi-1", "default-roles-wi-2"]},
                "resource_access": {"app-1": {"roles": ["write"]}, "app-2": {"roles": ["write"]}},
            }
        ),
        lease,
    )
    assert carried == {
        "editor", "default-roles-{realm}", "default-roles-wi-2", "{client}/write", "app-2/write",
    }  # fmt: skip
