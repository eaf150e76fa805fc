"""Compares ledger, server and master, and everything that was ever handed out.

The server is looked at by the service's own two identities, and after the end by its database
itself: there nothing can hide, whoever may see what.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keycloak.urls_patterns import URL_ADMIN_CLIENT, URL_ADMIN_CLIENT_ROLES, URL_ADMIN_CLIENTS

from testbed.installation import Installation
from testbed.soak.watch import LIVE, LedgerFile, Row
from warminfra.core.errors import WarminfraError
from warminfra.core.ids import tenant_name
from warminfra_keycloak.connection import AdminConnection
from warminfra_keycloak.provider import LOOKER, MAKER, KeycloakProvider
from warminfra_keycloak.traces import ManagementRole, MasterTraces

_MASTER = {"realm-name": "master"}
_DOUBT = "its create may still be under way"
_PRIVATE = frozenset({"handle", "secret", "client_secret", "password"})


@dataclass(slots=True)
class Judge:
    """Remembers roles and documents over all rounds. Close it."""

    installation: Installation
    documents: Path
    """Folder into which every run puts the lease document that it got."""
    held: list[dict[str, Any]] = field(default_factory=list)
    """Documents that were leased without a run."""
    _known: tuple[str, str] = ("", "")
    _provider: KeycloakProvider | None = None
    _maker: AdminConnection | None = None
    _looker: AdminConnection | None = None
    _roles: dict[str, dict[str, str]] = field(default_factory=dict)

    # ------------------------------------------------------------ ledger, server, master

    def lies(self) -> list[str]:
        """Return a line for each row that lies, each object without a row, each trace in master.

        Two listings with the ledger in between: what changes meanwhile is no lie.
        """
        self._connect()
        assert self._provider is not None
        ledger = LedgerFile(self.installation)
        early = ledger.rows()
        before = {str(found.ref.id) for found in self._provider.list_tenants()}
        rows = ledger.rows()
        wrong = self._master(rows)
        after = {str(found.ref.id) for found in self._provider.list_tenants()}
        late = ledger.rows()
        wrong += [
            f"realm {realm} is there, its row says {_state(rows, realm)}"
            for realm in before & after
            if _state(early, realm) not in LIVE and _state(rows, realm) not in LIVE
        ]
        wrong += [
            f"{row.state} {row.id} has no realm"
            for row in rows.values()
            if row.state in ("ready", "leased")
            and row.id not in before | after
            and _state(early, row.id) == row.state == _state(late, row.id)
        ]
        for row in rows.values():
            if row.state == "leased" and row.domain and _state(late, row.id) == "leased":
                wrong += self._domain(row)
        return wrong

    def settled(self) -> bool:
        """Say whether nothing is being made or taken down any more.

        A row whose realm is gone and that only waits out the server's transaction timeout is
        settled.
        """
        rows = LedgerFile(self.installation).rows().values()
        return not any(
            row.state == "creating" or (row.state == "retiring" and _DOUBT not in row.reason)
            for row in rows
        )

    def remember_roles(self) -> None:
        """Note the roles in master of all realms that live, to look for them when they are gone."""
        self._connect()
        assert self._looker is not None
        clients = self._looker.get(URL_ADMIN_CLIENTS.format(**_MASTER)).json()
        for client in clients:
            name = client["clientId"]
            if name.startswith("wi-") and name not in self._roles:
                path = URL_ADMIN_CLIENT_ROLES.format(**_MASTER, id=client["id"])
                with suppress(WarminfraError):
                    roles = self._looker.get(path).json()
                    self._roles[name] = {role["id"]: role["name"] for role in roles}

    def left_roles(self) -> list[str]:
        """Return the remembered roles whose client is gone and that exist all the same."""
        self._connect()
        assert self._looker is not None
        clients = self._looker.get(URL_ADMIN_CLIENTS.format(**_MASTER)).json()
        there = {client["clientId"] for client in clients}
        traces = MasterTraces(self._looker)
        wrong = []
        for name in [name for name in self._roles if name not in there]:
            roles = [ManagementRole(*pair) for pair in self._roles.pop(name).items()]
            wrong += [f"role {role.name} of {name}" for role in traces.left(roles)]
        return wrong

    def _master(self, rows: dict[str, Row]) -> list[str]:
        assert self._provider is not None
        assert self._looker is not None
        wrong = [f"in master: {orphan}" for orphan in self._provider.master_orphans()]
        late = LedgerFile(self.installation)
        clients = self._looker.get(URL_ADMIN_CLIENTS.format(**_MASTER)).json()
        names = {f"{tenant_name(row.id)}-realm": row for row in rows.values()}  # type: ignore[arg-type]
        for client in clients:
            name = client["clientId"]
            if not name.startswith("wi-"):
                continue
            row = names.get(name)
            if row is None:
                now = {f"{tenant_name(found)}-realm" for found in late.rows()}  # type: ignore[arg-type]
                if name not in now:
                    wrong.append(f"client {name} in master has no row")
            elif row.state == "gone":
                wrong.append(f"client {name} in master, its tenant is gone")
        return wrong

    def _domain(self, row: Row) -> list[str]:
        """See that the domain that the ledger tells of is in the client's redirect URIs."""
        assert self._maker is not None
        with suppress(WarminfraError, TypeError):  # it may end while we look
            client = LedgerFile(self.installation).material(row.id)["client_object"]
            realm = tenant_name(row.id)  # type: ignore[arg-type]
            path = URL_ADMIN_CLIENT.format(**{"realm-name": realm, "id": client})
            uris = self._maker.get(path).json()["redirectUris"]
            if not any(f"//{row.domain}/" in uri for uri in uris):
                return [f"leased {row.id} has not the domain that its row says"]
        return []

    def _connect(self) -> None:
        (access,) = self.installation.access().values()
        known = (access.base_url, access.identity[f"{MAKER}_secret"].reveal())
        if known == self._known:
            return
        self.close()
        self._provider = self.installation.provider()
        self._maker, self._looker = (
            AdminConnection(
                access.base_url,
                access.identity[f"{who}_id"].reveal(),
                access.identity[f"{who}_secret"],
            )
            for who in (MAKER, LOOKER)
        )
        self._known = known

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._provider, self._maker, self._looker):
            if connection is not None:
                connection.close()
        self._known = ("", "")

    # ------------------------------------------------------------ what was handed out

    def handed_out(self) -> list[dict[str, Any]]:
        """Return every lease document ever handed out."""
        files = sorted(self.documents.glob("*.json"))
        return self.held + [json.loads(file.read_text()) for file in files]

    def doubles(self) -> list[str]:
        """Return what was handed out twice: a tenant, a client, a secret."""
        documents = self.handed_out()
        seen = Counter(document["id"] for document in documents)
        seen += Counter(f"client {document['client']['id']}" for document in documents)
        wrong = [f"{what} was leased {times} times" for what, times in seen.items() if times > 1]
        owners: dict[str, str] = {}
        for document in documents:
            for secret in secrets_of(document):
                if owners.setdefault(secret, document["id"]) != document["id"]:
                    wrong.append(f"a secret of {document['id']} is {owners[secret]}'s, too")
        return wrong

    def told(self) -> list[str]:
        """Return the log files of the installation that hold a secret of a lease or of ours."""
        secrets = {secret for document in self.handed_out() for secret in secrets_of(document)}
        for access in self.installation.access().values():
            secrets |= {access.identity[f"{who}_secret"].reveal() for who in (MAKER, LOOKER)}
        seal = json.loads((self.installation.state_dir / "installation.json").read_text())["seal"]
        logs = [
            *self.installation.state_dir.rglob("*.log"),
            *self.installation.folder.glob("*.out"),
        ]
        wrong = []
        for log in logs:
            text = log.read_text(errors="replace")
            if any(secret in text for secret in secrets | {seal}):
                wrong.append(f"{log.name} holds a secret")
        return wrong

    # ------------------------------------------------------------ the database itself

    def database(self) -> list[str]:
        """After the end: ask the server's own database for what belongs to nothing."""
        rows = LedgerFile(self.installation).rows()
        live = {row.id for row in rows.values() if row.state in LIVE}
        realms = set(self._ask("SELECT ID FROM REALM WHERE NAME <> 'master'"))
        wrong = [f"realm {realm} in the database has no live row" for realm in realms - live]
        return wrong + self.orphans()

    def orphans(self) -> list[str]:
        """Return what the server's database holds that belongs to nothing; it may be running.

        Its file is read as a copy, twice if there is something: what is under way meanwhile is no
        orphan.
        """
        found = self._ask(_ORPHANS)
        return [line for line in self._ask(_ORPHANS) if line in found] if found else []

    def _ask(self, query: str) -> list[str]:
        """Return the first column of the query's rows in the databases of all instances."""
        cache = Path(self.installation.env["XDG_CACHE_HOME"]) / "warminfra"
        jar = next(cache.glob("keycloak/*/home/lib/lib/main/com.h2database.h2-*.jar"))
        copy = self.installation.folder / "looked-at"
        url = f"jdbc:h2:file:{copy / 'keycloakdb'};NON_KEYWORDS=VALUE;IFEXISTS=TRUE"
        shell = ("java", "-cp", str(jar), "org.h2.tools.Shell")
        told = []
        for data in (self.installation.state_dir / "instances").glob("*/data"):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(data / "h2", copy)
            asked = subprocess.run(
                [*shell, "-url", url, "-user", "", "-password", "", "-sql", query],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            # A head, the rows, and a line that counts them.
            told += [line.split("|")[0].strip() for line in asked.stdout.splitlines()[1:-1]]
        return told


_ORPHANS = " UNION ALL ".join(
    (
        "SELECT 'role of a client that is gone: ' || ID || ' ' || NAME || ' of client ' || CLIENT"
        " || ' of realm ' || COALESCE(REALM_ID, '') FROM KEYCLOAK_ROLE"
        " WHERE CLIENT_ROLE AND CLIENT NOT IN (SELECT ID FROM CLIENT)",
        "SELECT 'composite of a role that is gone: ' || CHILD_ROLE FROM COMPOSITE_ROLE"
        " WHERE CHILD_ROLE NOT IN (SELECT ID FROM KEYCLOAK_ROLE)"
        " OR COMPOSITE NOT IN (SELECT ID FROM KEYCLOAK_ROLE)",
        "SELECT 'role mapping of a role that is gone: ' || ROLE_ID FROM USER_ROLE_MAPPING"
        " WHERE ROLE_ID NOT IN (SELECT ID FROM KEYCLOAK_ROLE)",
        "SELECT 'client of a realm that is gone: ' || CLIENT_ID FROM CLIENT"
        " WHERE REALM_ID NOT IN (SELECT ID FROM REALM)",
        "SELECT 'management client of a realm that is gone: ' || CLIENT_ID FROM CLIENT"
        " WHERE CLIENT_ID LIKE 'wi-%-realm'"
        " AND CLIENT_ID NOT IN (SELECT NAME || '-realm' FROM REALM)",
        "SELECT 'user of a realm that is gone: ' || USERNAME FROM USER_ENTITY"
        " WHERE REALM_ID NOT IN (SELECT ID FROM REALM)",
        "SELECT 'session of a realm that is gone: ' || USER_SESSION_ID FROM OFFLINE_USER_SESSION"
        " WHERE REALM_ID NOT IN (SELECT ID FROM REALM)",
    )
)


def secrets_of(document: Any) -> list[str]:
    """Return every secret of a lease document."""
    if isinstance(document, dict):
        return [
            secret
            for key, value in document.items()
            for secret in ([value] if key in _PRIVATE else secrets_of(value))
        ]
    if isinstance(document, list):
        return [secret for item in document for secret in secrets_of(item)]
    return []


def _state(rows: dict[str, Row], tenant: str) -> str:
    row = rows.get(tenant)
    return row.state if row else "nothing"
