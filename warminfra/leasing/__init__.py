"""The lease machine: who has which tenant, until when, and what becomes of it then."""
