"""What is acknowledged is done, once, whatever is killed meanwhile: scenarios of `scripts/durable` and short rounds of
them in `tests/e2e`."""
