"""For tests of warminfra and of packages that extend it: fakes, a manual clock, conformance."""
