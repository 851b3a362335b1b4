"""What the release build weighs. Times are printed, not judged: they are the machine's as much as ours."""

from __future__ import annotations

from statistics import median

import pytest
from support import configuration, processes
from support.processes import binary
from support.raw import chat, complete

MEBIBYTE = 1024 * 1024
MEGABYTE = 1_000_000
BINARY_BYTES_MAX = 30 * MEGABYTE
IDLE_BYTES_MAX = 25 * MEBIBYTE


@pytest.fixture
def figure(capsys):
    """Prints a line that scripts/test shows: `figure("binary", 12.3, "MB")`."""

    def show(name: str, value: float, unit: str) -> None:
        with capsys.disabled():
            print(f"\nfigure: {name}: {value:.1f} {unit}")

    return show


def test_the_binary_is_small(figure):
    size = binary().stat().st_size
    figure("binary", size / MEGABYTE, "MB")
    assert size < BINARY_BYTES_MAX


def test_it_starts_quickly_and_idles_in_little_memory(tmp_path, figure):
    starts, idle = [], 0
    for number in range(5):
        folder = tmp_path / str(number)
        with processes.start_gateway(folder, configuration.gateway(folder / "data")) as gateway:
            starts.append(gateway.start_seconds)
            assert complete(gateway.port, chat("sim/instant")).status == 200
            idle = max(idle, gateway.resident_bytes())
    figure("start until it listens", median(starts) * 1000, "ms")
    figure("resident when idle", idle / MEBIBYTE, "MiB")
    assert idle < IDLE_BYTES_MAX
