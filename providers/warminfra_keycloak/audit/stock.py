"""What a stock Keycloak lets cross between realms: found by the prover, confirmed on live servers.

What of ours takes the ground away is in the last field of each.
"""

from __future__ import annotations

from warminfra.core.audit import StockCrossing

_SEEN_WITH = "Keycloak 26.7.4"
_FOLLOWED = "request uri at GET authorization, request uri of B"

STOCK = (
    StockCrossing(
        _SEEN_WITH,
        (
            f"X2:{_FOLLOWED}",
            f"X2:{_FOLLOWED}, whose client has the same id",
            f"X7:{_FOLLOWED}",
        ),
        ("client.fixed-id", "admin"),
        "a pushed authorization request is followed at another realm",
        "The request that a client has pushed is not bound to its realm: whoever has its address "
        "(`request_uri`) can follow it at another realm whose client has the same id, while the "
        "first realm lives and after its end too. A forged address is refused there. The ids are "
        "the same because the recipe makes them so, or, where the finding says so (*whose client "
        "has the same id*), because both leases' admins made clients of one id.",
        "keycloak#50135, mended in 26.8.0",
        "the default client id, `{recipe}-{lease}`, and class `user`: in the recipe, no `id` in "
        "`[sso.client]` that is the same in every lease (feature `client.fixed-id`), and no "
        "`admin = true` in `[sso]` (an admin makes clients of any id)",
    ),
    StockCrossing(
        _SEEN_WITH,
        ("X3:jti of a client assertion that a neighbour has used",),
        ("jwt-client-auth", "admin"),
        "the `jti` of a client assertion is used up for all realms",
        "A client that logs in by a signed assertion gives it a number of its own choice, `jti`. "
        "One that any realm has seen is refused in all. Clients that choose it at random do not "
        "meet; test suites with a fixed one disturb each other.",
        "none for this; keycloak#49215 gave the store a prefix for the grant, not for the realm",
        "class `user` and a client with a secret (authentication by JWT is the feature "
        "`jwt-client-auth`)",
    ),
    StockCrossing(
        _SEEN_WITH,
        (
            "X3:internal id of a client that a neighbour has used",
            "X3:internal id of a client scope that a neighbour has used",
            "X12:internal id of a client",
        ),
        ("admin",),
        "internal ids of clients and client scopes are taken for the whole server",
        "An admin may choose the internal id of what it makes. One that a client or a client scope "
        "of another realm has is refused (409): so what a neighbour has taken cannot be had, and "
        "that an id exists can be asked. Ids that the server chooses are random.",
        "none found",
        "class `user`: in the recipe, no `admin = true` in `[sso]` (only an admin chooses ids)",
    ),
    StockCrossing(
        _SEEN_WITH,
        (
            "X13:call by back-channel logout",
            "X13:call by client's keys by address",
            "X13:call by client's requests by address",
            "X13:call by sector identifier",
            "X13:call by client's management address",
        ),
        ("admin",),
        "a realm's admin makes the server call addresses of its choice",
        "The settings of a client name addresses that the server calls itself: back-channel "
        "logout, `jwks_uri`, request objects, sector identifier, management address. So a holder "
        "reaches from the server's place what it may not reach from its own.",
        "none found; it is by design",
        "`keycloak.outgoing = false` in the configuration; or class `user` with a template that "
        "names no such address itself (each is a feature, `client.….url`, which a verdict has to "
        "cover)",
    ),
)
