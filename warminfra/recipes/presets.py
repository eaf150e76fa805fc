"""Sets of environment names that families of apps read. A recipe's own `[sso.env]` wins over them.

`LOGIN_REDIRECT_URL` and its like are paths, so that one set serves http and https alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_TRUST = {
    "REQUESTS_CA_BUNDLE": "{tls.bundle_file}",
    "SSL_CERT_FILE": "{tls.bundle_file}",
    "NODE_EXTRA_CA_CERTS": "{tls.ca_file}",
}
"""Left out where the server needs no CA of ours. The first two replace the store that a program
knows, the third adds to it."""

GENERIC: Mapping[str, str] = MappingProxyType(
    {
        "OIDC_ISSUER": "{issuer}",
        "OIDC_CLIENT_ID": "{client.id}",
        "OIDC_CLIENT_SECRET": "{client.secret}",
        "OIDC_SCOPES": "openid email profile",
        "OIDC_DISCOVERY_URL": "{endpoints.discovery}",
        "OIDC_AUTHORIZATION_ENDPOINT": "{endpoints.authorization}",
        "OIDC_TOKEN_ENDPOINT": "{endpoints.token}",
        "OIDC_USERINFO_ENDPOINT": "{endpoints.userinfo}",
        "OIDC_JWKS_URI": "{endpoints.jwks}",
        "OIDC_END_SESSION_ENDPOINT": "{endpoints.end_session}",
        "OIDC_INTROSPECTION_ENDPOINT": "{endpoints.introspection}",
        **_TRUST,
    }
)
"""Names after the OpenID discovery document."""

DJANGO_LASUITE: Mapping[str, str] = MappingProxyType(
    {
        "OIDC_OP_URL": "{issuer}",
        "OIDC_OP_AUTHORIZATION_ENDPOINT": "{endpoints.authorization}",
        "OIDC_OP_TOKEN_ENDPOINT": "{endpoints.token}",
        "OIDC_OP_USER_ENDPOINT": "{endpoints.userinfo}",
        "OIDC_OP_JWKS_ENDPOINT": "{endpoints.jwks}",
        "OIDC_OP_LOGOUT_ENDPOINT": "{endpoints.end_session}",
        "OIDC_OP_INTROSPECTION_ENDPOINT": "{endpoints.introspection}",
        "OIDC_RP_CLIENT_ID": "{client.id}",
        "OIDC_RP_CLIENT_SECRET": "{client.secret}",
        "OIDC_RP_SIGN_ALGO": "RS256",
        "OIDC_RP_SCOPES": "openid email profile",
        "OIDC_USERINFO_FULLNAME_FIELDS": "given_name,family_name",
        "OIDC_REDIRECT_ALLOWED_HOSTS": "{domain}",
        "LOGIN_REDIRECT_URL": "/",
        "LOGOUT_REDIRECT_URL": "/",
        **_TRUST,
    }
)
"""What django-lasuite (La Suite docs, drive, people, …) reads, on top of mozilla-django-oidc."""

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"generic": GENERIC, "django-lasuite": DJANGO_LASUITE}
)
DEFAULT_PRESET = "generic"
