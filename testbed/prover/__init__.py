"""How well the prover sees, and how often it cries wolf: many self-tests, many audits."""
