"""Soak: runs go on while `exec`, the service and Keycloak are killed, and a judge looks after."""
