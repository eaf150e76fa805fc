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

ONE_SHOT = (CODE, PAR, DEVICE, USER_CODE, ACTION, LOGIN, ASSERTION, TICKET, BACKCHANNEL)
"""Trying one may use it up."""
ALL = (
    *(ACCESS, REFRESH, OFFLINE, ID, SECRET, PASSWORD, COOKIE, ADMIN),
    *(SERVICE, REGISTRATION, INITIAL, LOGOUT, *ONE_SHOT),
)
BEARERS = (ACCESS, REFRESH, OFFLINE, ID, ADMIN, SERVICE, LOGOUT)

WHY_NOT = {
    PASSWORD: "the template has no users",
    SERVICE: "the template's client has no account of its own",
    ADMIN: "the lease has no admin",
    INITIAL: "the lease has no admin, who alone makes them",
    REGISTRATION: "the lease has no admin, who alone makes them",
    LOGOUT: "the server sends it to a client's back-channel address and gives it to no holder",
}
"""Lasting kinds that not every lease yields."""
