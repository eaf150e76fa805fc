"""The zoo: every kind of credential and artifact that Keycloak knows, by one name each."""

from __future__ import annotations

ACCESS, REFRESH, OFFLINE, ID = "access token", "refresh token", "offline token", "id token"
SECRET, PASSWORD, COOKIE, ADMIN = "client secret", "password", "session cookie", "admin token"
SERVICE = "service token"
"""The access token of the app client's own service account."""
REGISTRATION, INITIAL = "registration access token", "initial access token"
LOGOUT = "logout token"

CODE, PAR, DEVICE, USER_CODE = "code", "request uri", "device code", "user code"
ACTION, LOGIN, ASSERTION, TICKET = (
    "action token",
    "login session code",
    "client assertion",
    "permission ticket",
)
BACKCHANNEL = "backchannel authentication id"

LASTING = (
    *(ACCESS, REFRESH, OFFLINE, ID, SECRET, PASSWORD, COOKIE, ADMIN),
    *(SERVICE, REGISTRATION, INITIAL, LOGOUT),
)
ONE_SHOT = (CODE, PAR, DEVICE, USER_CODE, ACTION, LOGIN, ASSERTION, TICKET, BACKCHANNEL)
"""Trying one may use it up."""
BEARERS = (ACCESS, REFRESH, OFFLINE, ID, ADMIN, SERVICE, LOGOUT)
