"""What seeing costs: a gateway that sees everything, as it comes; one that compresses the traces besides, as it would for a
collector on another machine; and one that sees nothing: of the same program and before the same provider, loaded in turn.

Placed and loaded as the scenario `chat-64-split`: the gateway alone on the first core, provider, generator and collector
on the second. Each round has all three, and begins with the next one; the cost is the median of the rounds' ratios. All
of them are started several times, as where in memory a program happens to lie makes a percent. The collector is a second
provider, which takes whatever it is sent.
"""

import http.client
import json
import os
import re
import statistics
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bodies
import load
import processes
import targets
from scenarios import WARM_UP_SECONDS, Place

CONNECTIONS = 64
EVERYTHING = """
[observe]
enabled = true
[alerts]
enabled = true
[traces]
endpoint = "http://127.0.0.1:{collector}"
protocol = "http"
ratio = 0.1
"""
COMPRESSED = EVERYTHING + "compress = true\n"
NOTHING = """
[observe]
enabled = false
[alerts]
enabled = false
"""
SEEING = {"everything": EVERYTHING, "compressed": COMPRESSED}
SEEN = {**SEEING, "nothing": NOTHING}
PROGRAMS = {"wrk": "wrk", "cc": "gcc"}
# What may have been left out without the figures meaning less.
LEFT_OUT_MAX = 0.01
ADMIN_PLANE = re.compile(r"admin plane on http://127\.0\.0\.1:(\d+)")


@dataclass
class Settings:
    tidegate: Path
    starts: int = 8
    # Of each start. Many and short: a machine that is slower now and then is so for all of a round.
    rounds: int = 6
    seconds: int = 2
    ratio_min: float = 0.97


@dataclass
class Findings:
    """Samples by what is seen, round by round; and how much of it was seen."""

    samples: dict = field(default_factory=lambda: {name: [] for name in SEEN})
    cores: tuple = ()
    answered: int = 0
    seen: int = 0
    traces_taken: int = 0
    traces_dropped: int = 0
    wrong: list = field(default_factory=list)

    def median(self, which, figure):
        return statistics.median(sample[figure] for sample in self.samples[which])

    def ratios(self, which):
        """Requests a second, as a share of those with nothing seen, round by round."""
        pairs = zip(self.samples[which], self.samples["nothing"], strict=True)
        return [seen["per_second"] / unseen["per_second"] for seen, unseen in pairs]

    def ratio(self, which):
        return statistics.median(self.ratios(which))

    def quartiles(self, which):
        """Between which half of the rounds' ratios lie."""
        ratios = self.ratios(which)
        if len(ratios) < 2:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high


@dataclass(frozen=True)
class Stand:
    """What was started."""

    fleet: processes.Fleet
    tools: dict
    place: Place
    provider: targets.Target
    # By what is seen.
    gateways: dict


def run(settings, progress):
    """All rounds of all starts; `progress` is told where we are."""
    found = Findings()
    for number in range(settings.starts):
        progress(f"start {number + 1} of {settings.starts}")
        with stand(settings) as there:
            measure(there, found, settings, progress)
    judge(found, settings)
    return found


def measure(there, found, settings, progress):
    """All rounds of one start."""
    found.cores = there.place.proxy + there.place.generator
    for name, gateway in there.gateways.items():
        progress(f"warming up and checking every reply, seen: {name}")
        take(found, name, ask(there, gateway, WARM_UP_SECONDS, reply_bytes=bodies.REPLY_BYTES))
    names = list(SEEN)
    for number in range(settings.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            progress(f"round {number + 1} of {settings.rounds}, seen: {name}")
            sample = ask(there, there.gateways[name], settings.seconds)
            take(found, name, sample)
            found.samples[name].append(sample)
    for name in SEEING:
        look(found, there.gateways[name])


@contextmanager
def stand(settings):
    """Provider, collector and all gateways, running and answering."""
    tools = {program: targets.find(program) for program in PROGRAMS}
    if missing := [PROGRAMS[program] for program, path in tools.items() if not path]:
        raise FileNotFoundError(f"missing: apt-get install {' '.join(missing)}")
    tools |= {"tidegate": str(settings.tidegate.resolve()), "files": processes.raise_fd_limit()}
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(prefix="tidegate-seeing-") as root, processes.Fleet() as fleet:
        folders = [Path(root) / name for name in ("provider", "collector", *SEEN)]
        for folder in folders:
            folder.mkdir()
        place = Place((cores[0],), (cores[-1],), folders[0])
        tools["mock"] = targets.compiled(tools["cc"], "mock", Path(root))
        provider, collector = (
            targets.start_backend(fleet, tools, "bare", place.generator, folder, None) for folder in folders[:2]
        )
        gateways = {
            name: targets.start(
                fleet, tools, "tidegate", place.proxy, provider, folder, cache=text.format(collector=collector.port)
            )
            for folder, (name, text) in zip(folders[2:], SEEN.items(), strict=True)
        }
        (folders[0] / "body.json").write_bytes(bodies.request(bodies.SMALL_BYTES))
        for gateway in gateways.values():
            targets.wait_ready(gateway)
        yield Stand(fleet, tools, place, provider, gateways)


def ask(there, target, seconds, **checks):
    body = there.place.folder / "body.json"
    return load.wrk(there.fleet, there.tools, there.place, target, there.provider, CONNECTIONS, seconds, body, **checks)


def take(found, name, sample):
    """Notes what went wrong, and what there was to see."""
    if errors := {kind: count for kind, count in sample["errors"].items() if count}:
        found.wrong.append(f"seen: {name}: {errors}")
    if name in SEEING:
        found.answered += sample["requests"]


def look(found, gateway):
    """How much a gateway that sees everything has seen of it."""
    (port,) = ADMIN_PLANE.findall(gateway.process.log.read_text())
    seen = json.loads(fetch(port, "/admin/performance"))
    found.seen += seen["all"]["10m"]["figures"]["total"]["count"]
    rows = fetch(port, "/metrics").splitlines()
    found.traces_taken += sum(float(row.split()[-1]) for row in rows if row.startswith("tidegate_traces_exported_total"))
    found.traces_dropped += sum(float(row.split()[-1]) for row in rows if row.startswith("tidegate_traces_dropped_total"))


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status != 200:
        raise targets.Failed(f"{path}: status {response.status}: {text[:300]}")
    return text


def judge(found, settings):
    if found.seen < found.answered * (1 - LEFT_OUT_MAX):
        found.wrong.append(f"{found.seen} of {found.answered} requests were seen: not everything")
    if found.traces_taken == 0 or found.traces_dropped > found.traces_taken * LEFT_OUT_MAX:
        found.wrong.append(f"{found.traces_taken:.0f} traces were taken and {found.traces_dropped:.0f} dropped")
    for name in SEEING:
        if (ratio := found.ratio(name)) < settings.ratio_min:
            found.wrong.append(f"{name}: {ratio:.3f} of the throughput is left; it must be {settings.ratio_min}")
