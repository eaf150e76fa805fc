"""Starts the stand-in: one process, threads, on 127.0.0.1 unless told otherwise.

    python app.py --port 8123 [--data-dir DIR]

Everything about the identity server comes from the environment, under django-lasuite's names. The
database is SQLite, or PostgreSQL if `DB_HOST` is set; sessions lie in it, or in Redis if there is a
`REDIS_URL`. Any variable may come from a file instead (`…_FILE`). The line `listening on URL` on
stdout means that it answers.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

REQUIRED = (
    "OIDC_OP_URL",
    "OIDC_OP_AUTHORIZATION_ENDPOINT",
    "OIDC_OP_TOKEN_ENDPOINT",
    "OIDC_OP_USER_ENDPOINT",
    "OIDC_OP_JWKS_ENDPOINT",
    "OIDC_OP_LOGOUT_ENDPOINT",
    "OIDC_RP_CLIENT_ID",
    "OIDC_RP_CLIENT_SECRET",
)


def settings_from(environ: dict[str, str], data_dir: Path) -> dict[str, Any]:
    """Return the Django settings. Exits with a line that names what the environment lacks."""
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing:
        sys.exit(f"not set: {', '.join(missing)}")

    def words(name: str) -> list[str]:
        return [word.strip() for word in environ.get(name, "").split(",") if word.strip()]

    return {
        **{name: environ[name] for name in REQUIRED},
        "OIDC_OP_INTROSPECTION_ENDPOINT": environ.get("OIDC_OP_INTROSPECTION_ENDPOINT", ""),
        "OIDC_RP_SIGN_ALGO": environ.get("OIDC_RP_SIGN_ALGO", "RS256"),
        "OIDC_RP_SCOPES": environ.get("OIDC_RP_SCOPES", "openid email"),
        "OIDC_REDIRECT_ALLOWED_HOSTS": words("OIDC_REDIRECT_ALLOWED_HOSTS"),
        "OIDC_USERINFO_FULLNAME_FIELDS": words("OIDC_USERINFO_FULLNAME_FIELDS"),
        "OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION": False,
        "OIDC_STORE_ID_TOKEN": True,  # sent as id_token_hint: the server then asks no question
        "OIDC_TIMEOUT": 10,
        "OIDC_CALLBACK_CLASS": "lasuite.oidc_login.views.OIDCAuthenticationCallbackView",
        "OIDC_AUTHENTICATE_CLASS": "lasuite.oidc_login.views.OIDCAuthenticationRequestView",
        "LOGIN_REDIRECT_URL": environ.get("LOGIN_REDIRECT_URL", "/"),
        "LOGIN_REDIRECT_URL_FAILURE": "/?login=failed",
        "LOGOUT_REDIRECT_URL": environ.get("LOGOUT_REDIRECT_URL", "/"),
        "AUTHENTICATION_BACKENDS": ["lasuite.oidc_login.backends.OIDCAuthenticationBackend"],
        "AUTH_USER_MODEL": "standin.User",
        "SECRET_KEY": environ.get("DJANGO_SECRET_KEY") or secrets.token_urlsafe(32),
        "ALLOWED_HOSTS": ["*"],  # bound to loopback, or behind a proxy that knows its domains
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SESSION_COOKIE_SECURE": environ.get("SECURE_COOKIES") == "true",
        "CSRF_COOKIE_SECURE": environ.get("SECURE_COOKIES") == "true",
        "ROOT_URLCONF": "standin.urls",
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "lasuite.oidc_login",
            "standin",
        ],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        "TEMPLATES": [
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        "DATABASES": {"default": database_from(environ, data_dir)},
        **sessions_from(environ),
        # Tables straight from the models: there is no older version to migrate from.
        "MIGRATION_MODULES": dict.fromkeys(("auth", "contenttypes", "sessions", "standin")),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "USE_TZ": True,
        "LOGGING_CONFIG": None,
    }


def database_from(environ: dict[str, str], data_dir: Path) -> dict[str, Any]:
    """Return Django's settings of the database."""
    if environ.get("DB_HOST"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": environ["DB_HOST"],
            **{name: environ.get(f"DB_{name}", "") for name in ("NAME", "USER", "PASSWORD")},
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": data_dir / "standin.sqlite3",
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
    }


def sessions_from(environ: dict[str, str]) -> dict[str, Any]:
    """Return Django's settings of cache and sessions where there is a Redis."""
    if not environ.get("REDIS_URL"):
        return {}
    backend = "django.core.cache.backends.redis.RedisCache"
    return {
        "CACHES": {"default": {"BACKEND": backend, "LOCATION": environ["REDIS_URL"]}},
        "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
    }


def with_files(environ: dict[str, str]) -> dict[str, str]:
    """Return the environment with each `NAME_FILE` read into `NAME`."""
    found = dict(environ)
    for name, path in environ.items():
        if name.endswith("_FILE") and path.startswith("/run/secrets/"):
            found[name.removesuffix("_FILE")] = Path(path).read_text().strip()
    return found


def migrate(patience: float) -> None:
    """Make the tables; a database that is not up yet is waited for."""
    from django.core.management import call_command
    from django.db.utils import OperationalError

    until = time.monotonic() + patience
    while True:
        try:
            call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
            return
        except OperationalError as error:
            if time.monotonic() > until:
                sys.exit(f"no database: {type(error).__name__}")
            time.sleep(0.5)


def main() -> None:
    """Parse the command line, make the tables, serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 0))
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("DATA_DIR"))
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="lasuite-docs-") as temporary:
        serve(options.host, options.port, options.data_dir or Path(temporary))


def serve(host: str, port: int, data_dir: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    import django
    from django.conf import settings

    sys.path.insert(0, str(HERE))
    settings.configure(**settings_from(with_files(dict(os.environ)), data_dir))
    django.setup()

    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Quiet(WSGIRequestHandler):
        """Logs no request lines: they hold codes and tokens."""

        def log_message(self, *_: Any) -> None:
            return

    data_dir.mkdir(parents=True, exist_ok=True)
    migrate(60.0 if os.environ.get("DB_HOST") else 0.0)
    try:
        server = ThreadedWSGIServer((host, port), Quiet, connections_override={})
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error.strerror}")
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    print(f"listening on http://{host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
