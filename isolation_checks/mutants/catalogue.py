"""Every mutant that there is, and those that cannot be made here, with the reason.

Numbers up to M49 are the specification's; a letter behind one is another form of the same fault.
"""

from __future__ import annotations

from isolation_checks.mutants import (
    drawn,
    halves,
    keycloak,
    manager,
    principals,
    recycled,
    service,
    settings,
    shared,
    taken_down,
    wire,
)
from isolation_checks.mutants.base import Absent, Mutant
from isolation_checks.stealth import AFTER_CRASH, ONE_IN_TEN, TWO_LIVE, USED_BEFORE
from warminfra.core.template import Template

SPECIFICATION = {
    "M01": "one realm for two leases",
    "M02": "one realm, two clients",
    "M03": "leased admin is a master admin",
    "M04": "leased admin may create realms",
    "M05": "a role on another tenant left over",
    "M06": "a resource server ignores iss",
    "M07": "iss compared by prefix",
    "M08": "names folded or cut so that two are one",
    "M09": "broker links accounts by e-mail across tenants",
    "M10": "signing key in the template",
    "M11": "only HMAC and AES keys shared",
    "M12": "one client secret for all",
    "M13": "empty or masked secret",
    "M14": "secret derived from the run's id",
    "M15": "same password and user id everywhere",
    "M16": "PAR request without tenant",
    "M17": "code without tenant",
    "M18": "device code without tenant",
    "M19": "jti remembered for all",
    "M20": "action token without tenant",
    "M21": "management client left in master",
    "M22": "disabled instead of deleted",
    "M23": "only users deleted",
    "M24": "timeout taken for success",
    "M25": "late teardown kills a new lease",
    "M26": "sessions kept",
    "M27": "offline sessions kept",
    "M28": "lockout counters kept",
    "M29": "events kept",
    "M30": "stale cache",
    "M31": "orphan rows",
    "M32": "credential file left",
    "M33": "no serialisation of create and delete",
    "M34": "logout-all hits others",
    "M35": "teardown by prefix",
    "M36": "reaper on a skewed clock",
    "M37": "server-wide setting per lease",
    "M38": "text or theme leaks",
    "M39": "throttle by address",
    "M40": "one leftover per lease",
    "M41": "environment placeholder resolved",
    "M42": "back-channel logout to another",
    "M43": "mail in one sink",
    "M44": "A renews or releases B",
    "M45": "secret in log or argv",
    "M46": "crash before the ledger write",
    "M47": "teardown step in the wrong realm",
    "M48": "a copied instance not re-keyed",
    "M49": "ownership by name",
}
"""The specification's mutants: number → title."""

_DEVICE = "client.settings.oauth2.device.authorization.grant.enabled"


def _has_the_scope(template: Template) -> bool:
    """Say whether a tenant has the scope that M63 takes away: a realm file may bring its own."""
    brought = template.base.get("clientScopes")
    return not brought or keycloak.SCOPE in {scope["name"] for scope in brought}


def _ids_differ(template: Template) -> bool:
    """Say whether leases have clients of different ids: one realm has room for one of an id."""
    return "client.fixed-id" not in template.features


_half = taken_down.half_done
_after = keycloak.after_create

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        *("M01", "one realm for two leases", "X16"),
        shared.guests(shared.hosts_material, shared.nothing_new),
        forms=(AFTER_CRASH,),
    ),
    Mutant(
        *("M02", "one realm, two clients", "X1"),
        shared.guests(shared.own_client, shared.a_second_client),
        applies=_ids_differ,
    ),
    Mutant(
        *("M03", "a lease's client is an admin of master", "X14"),
        principals.in_master(principals.client_with("admin")),
        forms=(ONE_IN_TEN,),
        applies=_ids_differ,
    ),
    Mutant(
        *("M04", "a lease's client may create realms", "X14"),
        principals.in_master(principals.client_with("create-realm")),
        applies=_ids_differ,
    ),
    Mutant(
        *("M05", "a lease's user has a role on another tenant", "X14"),
        principals.in_master(principals.role_on_another),
    ),
    Mutant("M06", "an app ignores the issuer", "X1", wire.trusting(wire.any_issuer)),
    Mutant("M07", "an app compares issuers by prefix", "X1", wire.trusting(wire.by_prefix)),
    Mutant(
        *("M08", "names cut so that two leases have one realm", "X5"),
        shared.guests(shared.own_material, shared.nothing_new),
    ),
    Mutant("M10", "one signing key in every tenant", "X4", _after(keycloak.same_key())),
    Mutant(
        *("M11", "HMAC and AES keys alike in every tenant", "X4"),
        _after(keycloak.same_symmetric_keys()),
        forms=(USED_BEFORE,),
    ),
    Mutant(
        *("M12", "one client secret for all", "X4"),
        drawn.spoiled(drawn.one_client_secret),
        forms=(ONE_IN_TEN, TWO_LIVE),
    ),
    Mutant("M12b", "one client, id and secret, for all", "X1", drawn.spoiled(drawn.same_client)),
    # An empty secret never gets out: the service refuses to hand out such a document.
    Mutant("M13", "masked client secret", "X4", drawn.spoiled(drawn.masked_secret)),
    Mutant(
        *("M14", "client secret derived from public facts", "X4"),
        drawn.spoiled(drawn.secret_from_the_id),
        forms=(ONE_IN_TEN, AFTER_CRASH),
    ),
    Mutant(
        *("M15", "same password of the same user everywhere", "X1"),
        drawn.spoiled(drawn.same_passwords),
        forms=(USED_BEFORE,),
    ),
    Mutant(
        *("M16", "a pushed authorization request without tenant", "X2"),
        wire.spoiled(wire.without_tenant("request_uri")),
    ),
    Mutant("M17", "a code without tenant", "X2", wire.spoiled(wire.without_tenant("code"))),
    Mutant(
        *("M18", "a device code without tenant", "X2"),
        wire.spoiled(wire.without_tenant("device_code")),
        applies=lambda template: template.admin or _DEVICE in template.features,
    ),
    Mutant("M19", "a `jti` remembered for all", "X3", wire.spoiled(wire.remembers_for_all)),
    Mutant("M20", "an action token without tenant", "X2", wire.spoiled(wire.without_tenant("key"))),
    Mutant(
        *("M21", "management client left in master", "X6"),
        _half(halves.client_left_in_master, clean=halves.take_client_away),
        forms=(ONE_IN_TEN,),
    ),
    Mutant(
        *("M22", "disabled instead of deleted", "X6"),
        _half(halves.disabled, clean=taken_down.destroy),
        forms=(AFTER_CRASH,),
    ),
    Mutant("M23", "only users deleted", "X7", _half(halves.only_users, clean=taken_down.destroy)),
    Mutant(
        *("M24", "a teardown that timed out is taken for done", "X7"),
        _half(taken_down.nothing, clean=taken_down.destroy),
        forms=(USED_BEFORE,),
    ),
    Mutant(
        *("M25", "late teardown kills a new lease", "X9"),
        service.late_teardown,
        seen_by="neighbours",
    ),
    Mutant("M26", "sessions kept", "X7", _half(halves.sessions_kept, clean=taken_down.destroy)),
    Mutant(
        *("M27", "offline sessions kept", "X7"),
        _half(halves.offline_sessions_kept, clean=taken_down.destroy),
    ),
    Mutant(
        *("M28", "lockout counters kept", "X6"),
        recycled.lockouts_kept,
        seen_by="after a dirty life",
    ),
    Mutant(
        *("M29", "events kept", "X6"),
        _half(halves.events_kept, clean=taken_down.nothing),
        seen_by="kept events",
    ),
    Mutant("M30", "stale cache of the lease machine", "X16", manager.stale()),
    Mutant(
        *("M31", "orphan rows", "X6"),
        _half(halves.orphan_rows, clean=halves.take_rows_away),
        forms=(ONE_IN_TEN,),
    ),
    Mutant("M32", "credential file left", "X6", service.file_left),
    Mutant("M33", "no serialisation of create and delete", "X9", service.not_serialised),
    Mutant(
        *("M34", "the end of one tenant logs all others out", "X9"),
        _half(halves.logs_others_out, clean=taken_down.nothing),
        forms=(TWO_LIVE, AFTER_CRASH),
    ),
    Mutant("M35", "teardown by prefix", "X9", _half(halves.by_prefix, clean=taken_down.nothing)),
    Mutant("M36", "reaper on a skewed clock", "X16", service.skewed_reaper),
    Mutant(
        *("M37", "a setting of the server follows the lease", "X11"),
        keycloak.with_each_tenant(settings.names_the_server, settings.forgets_the_name),
    ),
    Mutant(
        *("M38", "a tenant's pages show another's text", "X12"),
        keycloak.with_each_tenant(settings.takes_over_texts),
    ),
    Mutant(
        *("M39", "failed logins counted by address", "X9"), wire.spoiled(wire.counts_by_address)
    ),
    Mutant(
        *("M40", "one leftover per lease", "X6"),
        _half(halves.one_leftover, clean=halves.take_leftover_away),
        forms=(ONE_IN_TEN,),
    ),
    Mutant(
        "M41", "an environment placeholder is resolved", "X13", wire.spoiled_there(wire.resolves)
    ),
    Mutant(
        *("M42", "every logout is told to one address", "X13"),
        keycloak.with_each_tenant(settings.tells_the_sink),
    ),
    Mutant(
        *("M43", "every mail goes to one server", "X13"),
        keycloak.with_each_tenant(settings.mails_to_the_sink),
    ),
    Mutant(
        *("M44", "A's handle works on B's lease", "X16"),
        manager.managed(manager.Trusting),
        forms=(ONE_IN_TEN,),
    ),
    Mutant("M45", "secret in the log", "X16", service.provided(service.told_in_the_log)),
    Mutant("M45b", "secret in an argument", "X16", service.told_in_arguments),
    Mutant("M46", "crash before the ledger write", "X6", service.unwritten),
    Mutant(
        *("M47", "teardown step in the wrong realm", "X9"),
        _half(halves.in_the_wrong_realm, clean=taken_down.nothing),
        forms=(TWO_LIVE,),
    ),
    Mutant("M48", "a copied instance not re-keyed", "X4", service.not_rekeyed, dear=True),
    Mutant("M49", "ownership by name", "X6", service.owned_by_name),
    Mutant("M50", "a leased user administers its realm", "X14", _after(keycloak.users_administer)),
    Mutant(
        *("M51", "a tenant made beside another lacks a user", "X5"),
        _after(keycloak.beside_another(keycloak.lacks_a_user)),
        forms=(ONE_IN_TEN,),
    ),
    Mutant(*("M52", "cookies are sent to every realm", "X8"), wire.spoiled(wire.cookies_for_all)),
    Mutant("M53", "a hold outlives its time", "X16", manager.managed(manager.Forgetful)),
    Mutant(
        *("M55", "a refresh token without tenant, for the realm's own client", "X1"),
        wire.spoiled(wire.without_tenant("refresh_token", looks_at_client=True)),
    ),
    Mutant(
        *("M56", "a token of any tenant is active to the realm's own client", "X1"),
        wire.spoiled(wire.without_tenant("token", looks_at_client=True)),
    ),
    Mutant(
        *("M57", "the account API takes a token of any tenant", "X1"),
        wire.spoiled(wire.reads_any_account),
    ),
    Mutant(
        *("M58", "whoever is of no tenant of its own is let in", "X1"),
        wire.spoiled(wire.looks_at_no_strangers),
    ),
    Mutant(
        *("M59", "a token tells another tenant's name", "X12"),
        wire.spoiled(wire.names_in_tokens),
    ),
    Mutant(
        "M60",
        "a refused call ends the sessions of a tenant",
        "X1",
        wire.spoiled_there(wire.ends_sessions),
    ),
    Mutant(
        *("M61", "a role is found by its internal id from any realm", "X12"),
        wire.spoiled_there(wire.roles_of_all),
    ),
    Mutant(
        *("M62", "a refused call gives a user of a tenant a role", "X1"),
        wire.spoiled_there(wire.grants_a_role),
    ),
    Mutant(
        *("M63", "a tenant made beside another lacks a client scope", "X5"),
        _after(keycloak.beside_another(keycloak.lacks_a_scope)),
        applies=_has_the_scope,
    ),
    Mutant(
        *("M64", "the app's client of a tenant made beside another lacks a setting", "X5"),
        _after(keycloak.beside_another(keycloak.lacks_origins)),
    ),
    Mutant("M54", "any tenant's token makes realms", "X1", wire.spoiled(wire.tokens_make_realms)),
)

ABSENT: tuple[Absent, ...] = (
    Absent(
        *("M09", "broker links accounts by e-mail across tenants", "X1"),
        "a tenant has no broker unless its template brings one: the feature `brokers`, which a "
        "verdict has to cover",
    ),
)
"""Those that cannot exist on Keycloak. Others print with their reason in the kill table."""
