"""What it takes to see, and whether what is seen is so: the scenarios of `scripts/seeing`, of which `tests/e2e` runs
short forms."""
