"""The stand-in's pages: who is logged in, and the login of django-lasuite under `/oidc/`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path

_HOME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>docs (stand-in)</title></head><body>
<h1>docs (stand-in)</h1>
{% if user.is_authenticated %}
<p>Logged in as <strong id="who">{{ user.name }}</strong> ({{ user.email }})</p>
<form id="logout" method="post" action="{% url 'oidc_logout_custom' %}">
{% csrf_token %}<button>Log out</button></form>
{% else %}
<p id="who">Nobody is logged in.</p>
<p><a id="login" href="{% url 'oidc_authentication_init' %}">Log in</a></p>
{% endif %}
</body></html>
"""


def home(request: HttpRequest) -> HttpResponse:
    """Show who is logged in, with the one thing to do next."""
    return HttpResponse(
        engines["django"].from_string(_HOME).render({"user": request.user}, request)
    )


def whoami(request: HttpRequest) -> JsonResponse:
    """Say who is logged in, for programs."""
    user = request.user
    if not user.is_authenticated:
        return JsonResponse({"authenticated": False})
    return JsonResponse(
        {"authenticated": True, "sub": user.sub, "email": user.email, "name": user.name}
    )


def heartbeat(request: HttpRequest) -> HttpResponse:
    """Answer: the process is up."""
    return HttpResponse("ok")


urlpatterns = [
    path("", home),
    path("whoami", whoami),
    path("__lbheartbeat__", heartbeat),
    path("oidc/", include("lasuite.oidc_login.urls")),
]
