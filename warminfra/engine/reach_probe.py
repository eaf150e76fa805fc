"""Looks at an identity server from where this runs: its name, its certificate, its issuer.

Standard library alone, and old Python too: the file is run as it is inside a throwaway container.

    python reach_probe.py DISCOVERY-URL ISSUER [CA-FILE]

Prints one JSON object: `addresses`, and `trouble` (name, connection, certificate, answer, issuer;
empty if there is none) with what was `found`.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from urllib.parse import urlsplit

TIMEOUT = 10.0
"""Seconds for each step."""


def look(discovery: str, issuer: str, ca_file: str = "") -> dict[str, object]:
    """Look once; stop at the first trouble."""
    url = urlsplit(discovery)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return _trouble([], "name", str(error))
    addresses = sorted({str(row[4][0]) for row in rows})
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=_context(ca_file))
        if url.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    )
    try:
        connection.connect()
    except ssl.SSLError as error:
        told = getattr(error, "verify_message", "") or str(error)
        return _trouble(addresses, "certificate", told)
    except OSError as error:
        return _trouble(addresses, "connection", str(error))
    try:
        connection.request("GET", url.path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            return _trouble(addresses, "answer", f"{answer.status} {answer.reason}")
        found = json.loads(body)["issuer"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return _trouble(addresses, "answer", f"no discovery document ({type(error).__name__})")
    finally:
        connection.close()
    return _trouble(addresses, "" if found == issuer else "issuer", str(found))


def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


def _trouble(addresses: list[str], trouble: str, found: str) -> dict[str, object]:
    return {"addresses": addresses, "trouble": trouble, "found": found}


if __name__ == "__main__":
    print(json.dumps(look(*sys.argv[1:])))
