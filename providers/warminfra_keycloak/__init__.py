"""The Keycloak provider of warminfra."""
