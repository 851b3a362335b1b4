"""What is acknowledged is done, once, whatever is killed meanwhile: the scenarios of `scripts/durable`, of which
`tests/e2e` runs short rounds."""
