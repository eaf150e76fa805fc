"""Every mutant that there is, and those that cannot be made here, with the reason."""

from __future__ import annotations

from isolation_checks.mutants import drawn, keycloak, manager, taken_down, wire
from isolation_checks.mutants.base import Mutant

DEVICE = "client.settings.oauth2.device.authorization.grant.enabled"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "M10", "one signing key in every tenant", "X4", keycloak.after_create(keycloak.same_key())
    ),
    Mutant("M12", "one client secret for all", "X4", drawn.spoiled(drawn.one_client_secret)),
    Mutant("M12b", "one client, id and secret, for all", "X1", drawn.spoiled(drawn.same_client)),
    Mutant(
        "M14",
        "client secret derived from public facts",
        "X4",
        drawn.spoiled(drawn.secret_from_the_id),
    ),
    Mutant(
        "M15",
        "same password of the same user everywhere",
        "X1",
        drawn.spoiled(drawn.same_passwords),
    ),
    Mutant(
        *("M16", "a pushed authorization request without tenant", "X2"),
        wire.spoiled(wire.without_tenant("request_uri")),
    ),
    Mutant("M17", "a code without tenant", "X2", wire.spoiled(wire.without_tenant("code"))),
    Mutant(
        *("M18", "a device code without tenant", "X2"),
        wire.spoiled(wire.without_tenant("device_code")),
        applies=lambda template: template.admin or DEVICE in template.features,
    ),
    Mutant("M19", "a `jti` remembered for all", "X3", wire.spoiled(wire.remembers_for_all)),
    Mutant("M20", "an action token without tenant", "X2", wire.spoiled(wire.without_tenant("key"))),
    Mutant(
        "M21",
        "management client left in master",
        "X6",
        taken_down.half_done(keycloak.client_left_in_master, clean=keycloak.take_client_away),
    ),
    Mutant(
        "M22",
        "disabled instead of deleted",
        "X6",
        taken_down.half_done(keycloak.disabled, clean=taken_down.destroy),
    ),
    Mutant(
        "M23",
        "only users deleted",
        "X7",
        taken_down.half_done(keycloak.only_users, clean=taken_down.destroy),
    ),
    Mutant(
        "M24",
        "a teardown that does nothing is taken for done",
        "X7",
        taken_down.half_done(taken_down.nothing, clean=taken_down.destroy),
    ),
    Mutant(
        "M34",
        "the end of one tenant logs all others out",
        "X9",
        taken_down.half_done(keycloak.logs_others_out, clean=taken_down.nothing),
    ),
    Mutant("M44", "A's handle works on B's lease", "X16", manager.any_handle),
    Mutant(
        "M50",
        "a leased user administers its realm",
        "X14",
        keycloak.after_create(keycloak.users_administer),
    ),
    Mutant(
        "M51",
        "a tenant made beside another lacks a user",
        "X5",
        keycloak.after_create(keycloak.lacks_a_user_beside_another),
    ),
)
