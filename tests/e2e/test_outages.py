"""A database that is away in the middle of much work: who orders is told to come again, who waits for a model's answer
feels nothing, and nothing that was acknowledged is lost.

`scripts/durable outages` has longer ones, and measures what callers feel.
"""

from __future__ import annotations

import pytest
from support.durable import outages
from support.durable.grounds import FAULTS
from support.durable.ledger import shown


@pytest.mark.parametrize("fault", FAULTS)
def test_a_database_that_is_away_costs_nobody_anything_that_was_acknowledged(fault, tmp_path):
    # Longer than a caller waits for the store, so that each is told.
    settings = outages.Settings(seconds=7, alone_seconds=0, recovery_seconds=float("inf"))
    found = outages.run(tmp_path, FAULTS[fault], settings)
    assert shown(found.wrong) == []
