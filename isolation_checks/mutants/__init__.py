"""Planted faults, one leak each: the prover is tested on them, in every audit.

A mutant decorates the provider or the draw of secrets of a scratch installation, and takes away
what it leaves there. What cannot exist on a real Keycloak is named with the reason in the
catalogue.
"""
