"""The client of the service, for the command line and for programs."""

from warminfra.client.client import Client

__all__ = ["Client"]
