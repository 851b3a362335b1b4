"""A gateway that is killed while jobs, batches and workflows are under way, on SQLite and on a PostgreSQL that crashes
as well: what was acknowledged comes to its one end.

`scripts/durable kills` kills more often.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.durable import kills
from support.durable.ledger import shown
from support.postgres import Postgres


@pytest.mark.timeout(300)
def test_what_is_acknowledged_survives_kills_and_comes_to_one_end(tmp_path):
    # Side by side, as each waits for most of its time: for a life to end, and for leases to be over.
    with Postgres() as server, ThreadPoolExecutor(2) as both:
        database = server.url(server.create_database())
        found = [
            both.submit(kills.run, tmp_path / "sqlite", kills.Settings(rounds=16, seed=1)),
            both.submit(
                kills.run,
                tmp_path / "postgres",
                kills.Settings(rounds=12, seed=2, database=database, server=server),
            ),
        ]
        tallies = [each.result() for each in found]
    for tally in tallies:
        assert shown(tally.complaints) == []
        assert tally.jobs > 50 and tally.lines >= 300 and tally.runs > 5, tally
    assert [tally.crashes for tally in tallies] == [0, 4]
    with sqlite3.connect(tmp_path / "sqlite/data/tidegate.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
