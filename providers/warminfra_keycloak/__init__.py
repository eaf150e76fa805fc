"""The Keycloak provider of warminfra."""

from warminfra_keycloak.entry import KeycloakPackage

package = KeycloakPackage()
"""What the entry-point group `warminfra.providers` names."""
