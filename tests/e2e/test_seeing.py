"""What operators see stays small whatever callers invent, and is of everything that was asked.

`scripts/seeing` invents far more names, compares percentiles within 2 %, and measures what seeing costs.
"""

from __future__ import annotations

import math

from support.seeing import names, percentiles


def test_names_that_callers_invent_make_no_series_of_their_own(tmp_path):
    found = names.run(tmp_path, names.Settings(count=3000))
    assert not found.wrong


def test_percentiles_are_of_all_that_was_asked(tmp_path):
    """How near they are is no matter here: a machine that does other things would decide it."""
    settings = percentiles.Settings(requests=60, connections=20, error_max=math.inf, seconds=(0.05, 0.5))
    found = percentiles.run(tmp_path, settings)
    assert not found.wrong
    assert found.counts == {"total": 60, "first_token": 30}
    assert len(found.compared) == 6 and all(one.told > 0 for one in found.compared)
