"""The user as docs has it: known by `sub`, not by a password of its own."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class User(AbstractBaseUser, PermissionsMixin):
    """A person whom the identity server vouched for."""

    sub = models.CharField(max_length=255, unique=True)
    email = models.EmailField(default="", blank=True)
    name = models.CharField(max_length=255, default="", blank=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "sub"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
