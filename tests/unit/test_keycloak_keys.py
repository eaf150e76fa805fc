"""Signing keys in stock."""

from __future__ import annotations

import threading

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from warminfra_keycloak.keys import KeyPool, make_key


def test_a_key_fits_its_certificate() -> None:
    """The certificate is of that key, which has 2048 bits."""
    made = make_key()
    private = load_pem_private_key(made.private_pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    public = load_pem_x509_certificate(made.certificate_pem.encode()).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public.public_bytes(*form) == private.public_key().public_bytes(*form)


def test_no_key_is_given_twice() -> None:
    """Whether from stock or made in place, each taken key is another one."""
    pool = KeyPool(size=2)
    try:
        keys = [pool.take().private_pem for _ in range(6)]
    finally:
        pool.stop()
    assert len(set(keys)) == 6


def test_a_key_does_not_show_itself() -> None:
    """A key in a log or traceback is no key."""
    assert "PRIVATE" not in repr(make_key())


def test_the_stock_ends_its_thread() -> None:
    """After stop no thread of the stock is left, and take still works."""
    before = set(threading.enumerate())
    pool = KeyPool(size=1)
    pool.start()
    pool.stop()
    assert set(threading.enumerate()) <= before
    assert pool.take().private_pem


def test_without_stock_there_is_no_thread() -> None:
    """Size 0 makes every key in place."""
    before = set(threading.enumerate())
    pool = KeyPool(size=0)
    assert pool.take().certificate_pem
    pool.stop()
    assert set(threading.enumerate()) <= before
