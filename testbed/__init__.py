"""What tests, demo and benchmarks run on: real apps, and a way to log in to them."""
