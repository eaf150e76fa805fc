"""Warm identity servers for a CI node, leased to each run and proven not to leak."""

__version__ = "0.1.0"
