"""Many CI pipelines at once on one installation: what becomes of leases when they end badly."""
