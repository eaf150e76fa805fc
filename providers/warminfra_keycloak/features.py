"""What in a cleaned realm description could open a channel out of the realm.

Invariant: a key that is not known to be harmless counts. A feature is not a fault; it is what a
verdict has to cover before such a tenant is shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warminfra_keycloak.references import CLIENT, groups

MANAGEMENT = "realm-management"

_HARMLESS_KEYS = """
    accessCodeLifespan accessCodeLifespanLogin accessCodeLifespanUserAction accessTokenLifespan
    accessTokenLifespanForImplicitFlow actionTokenGeneratedByAdminLifespan
    actionTokenGeneratedByUserLifespan adminEventsDetailsEnabled adminEventsEnabled attributes
    browserSecurityHeaders bruteForceProtected bruteForceStrategy clientOfflineSessionIdleTimeout
    clientOfflineSessionMaxLifespan clientScopeMappings clientScopes clientSessionIdleTimeout
    clientSessionMaxLifespan clients defaultDefaultClientScopes defaultGroups defaultLocale
    defaultOptionalClientScopes defaultRole defaultRoles defaultSignatureAlgorithm displayName
    displayNameHtml duplicateEmailsAllowed editUsernameAllowed enabledEventTypes eventsEnabled
    eventsExpiration failureFactor groups internationalizationEnabled keycloakVersion
    localizationTexts
    loginWithEmailAllowed maxDeltaTimeSeconds maxFailureWaitSeconds maxSecondaryAuthFailures
    maxTemporaryLockouts minimumQuickLoginWaitSeconds oauth2DeviceCodeLifespan
    oauth2DevicePollingInterval offlineSessionIdleTimeout offlineSessionMaxLifespan
    offlineSessionMaxLifespanEnabled otpPolicyAlgorithm otpPolicyCodeReusable otpPolicyDigits
    otpPolicyInitialCounter otpPolicyLookAheadWindow otpPolicyPeriod otpPolicyType
    otpSupportedApplications passwordPolicy permanentLockout protocolMappers
    quickLoginCheckMilliSeconds refreshTokenMaxReuse registrationAllowed
    registrationEmailAsUsername rememberMe requiredActions requiredCredentials
    resetPasswordAllowed revokeRefreshToken roles scopeMappings sslRequired ssoSessionIdleTimeout
    ssoSessionIdleTimeoutRememberMe ssoSessionMaxLifespan ssoSessionMaxLifespanRememberMe
    supportedLocales userManagedAccessAllowed users verifyEmail waitIncrementSeconds
    """
_HARMLESS = frozenset(_HARMLESS_KEYS.split())
_HARMLESS_PREFIX = "webAuthnPolicy"
_JUDGED = frozenset(
    {"identityProviders", "identityProviderMappers", "smtpServer", "components", "eventsListeners"}
    | {"authenticationFlows", "authenticatorConfig"}
)
"""Keys that have a rule of their own below."""
FLOW_BINDINGS = {
    "browserFlow": "browser",
    "registrationFlow": "registration",
    "directGrantFlow": "direct grant",
    "resetCredentialsFlow": "reset credentials",
    "clientAuthenticationFlow": "clients",
    "dockerAuthenticationFlow": "docker auth",
    "firstBrokerLoginFlow": "first broker login",
}
"""Which flow serves what, and what Keycloak binds there by itself."""
_USER_PROFILE = "org.keycloak.userprofile.UserProfileProvider"
_JWT_AUTHENTICATORS = frozenset({"client-jwt", "client-secret-jwt", "federated-jwt"})


def features_of(base: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the features of a cleaned realm, sorted."""
    return tuple(sorted(set(_top(base)) | set(_clients(base)) | set(_grants(base))))


def _top(base: Mapping[str, Any]) -> Iterator[str]:
    if base.get("identityProviders") or base.get("identityProviderMappers"):
        yield "brokers"
    if not empty(base.get("smtpServer")):
        yield "mail"
    if base.get("authenticationFlows") or base.get("authenticatorConfig"):
        yield "flows"
    if set(base.get("eventsListeners", [])) - {"jboss-logging"}:
        yield "realm.eventsListeners"
    for kind in base.get("components", {}):
        if kind != _USER_PROFILE:
            yield f"components.{kind.rpartition('.')[2]}"
    for key, value in base.items():
        if key in FLOW_BINDINGS:
            if value != FLOW_BINDINGS[key]:
                yield "flows"
        elif not (
            key in _HARMLESS or key in _JUDGED or key.startswith(_HARMLESS_PREFIX) or empty(value)
        ):
            yield f"realm.{key}"


def _clients(base: Mapping[str, Any]) -> Iterator[str]:
    for client in base.get("clients", []):
        if client.get("clientId") != CLIENT:
            yield "clients"
        if client.get("clientAuthenticatorType") in _JWT_AUTHENTICATORS:
            yield "jwt-client-auth"
        elif client.get("clientAuthenticatorType", "client-secret") != "client-secret":
            yield f"client-auth.{client['clientAuthenticatorType']}"
        if client.get("serviceAccountsEnabled"):
            yield "service-accounts"
        if client.get("authorizationServicesEnabled"):
            yield "client.authorization"
        if client.get("protocol", "openid-connect") != "openid-connect":
            yield f"protocol.{client['protocol']}"
        for name, value in client.get("attributes", {}).items():
            if value not in ("", "false", None) and name.endswith((".url", ".uri", "_uri")):
                yield f"client.{name}"


def _grants(base: Mapping[str, Any]) -> Iterator[str]:
    """Yield `admin-roles` if anything but the admin client may manage the realm."""
    holders = [*base.get("users", []), *(line[-1] for _, line in groups(base))]
    roles = base.get("roles", {})
    all_roles = [
        *roles.get("realm", []),
        *(role for own in roles.get("client", {}).values() for role in own),
    ]
    if (
        any(MANAGEMENT in holder.get("clientRoles", {}) for holder in holders)
        or any(MANAGEMENT in role.get("composites", {}).get("client", {}) for role in all_roles)
        or base.get("clientScopeMappings", {}).get(MANAGEMENT)
    ):
        yield "admin-roles"


def empty(value: Any) -> bool:
    """Say whether a value says nothing: none, false, or a container of such."""
    if isinstance(value, Mapping):
        return all(empty(item) for item in value.values())
    if isinstance(value, list):
        return all(empty(item) for item in value)
    return value in (None, False, "", 0)
