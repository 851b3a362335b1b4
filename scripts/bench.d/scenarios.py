"""The scenarios: what is started where, how it is loaded, which samples come of it.

Each starts everything afresh, loads the targets in turn, round after round, beginning each round with
another target, so that a machine that drifts does so for all. What the figures must reach is judged
in report.py.
"""

import os
import shutil
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import bodies
import load
import processes
import targets

WARM_UP_SECONDS = 2
IDLE_SETTLE_SECONDS = 1.0
RECOVER_SECONDS = 2.0
STARTS_MIN = 3
# Longer than a run: what is remembered once stays so.
REMEMBER = '[cache.memory]\nttl = "1h"'
# One answer in memory and several asked for in turn: each has gone again when it is asked for.
REMEMBER_IN_REDIS = '[cache.memory]\nentries = 1\n[cache.redis]\nurl = "redis://127.0.0.1:{port}"'
QUESTIONS = 32


@dataclass(frozen=True)
class Place:
    """Which cores serve whom during a scenario, and where its files lie."""

    proxy: tuple
    generator: tuple
    folder: Path
    reply_bytes: int = bodies.REPLY_BYTES


@dataclass
class Bench:
    """What the command line asked for and what this machine has."""

    tools: dict
    cores: tuple
    names: list
    rounds: int
    seconds: int
    quick: bool
    backend: str
    say: object
    live_streams: int
    root: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tidegate-bench-")))

    def place(self, split, folder):
        """`split`: the proxy alone on the first core; otherwise all share all."""
        if split and len(self.cores) > 1:
            return Place((self.cores[0],), tuple(self.cores[1:]), folder)
        return Place(tuple(self.cores), tuple(self.cores), folder)

    @contextmanager
    def folder(self):
        folder = Path(tempfile.mkdtemp(dir=self.root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def stage(self, split, frames=None, backend="bare", large=False):
        """The provider and every proxy, running and answering: (fleet, place, backend, targets)."""
        with self.folder() as folder, processes.Fleet() as fleet:
            place = self.place(split, folder)
            provider = targets.start_backend(fleet, self.tools, backend, place.generator, folder, frames)
            tuning = {"streaming": bool(frames), "large": large}
            started = [provider if name == "direct"
                       else targets.start(fleet, self.tools, name, place.proxy, provider, folder, **tuning)
                       for name in self.names]
            for target in started:
                targets.wait_ready(target)
            yield fleet, place, provider, started

    def rounds_of(self, started, say):
        """(round, target), each round beginning with another target."""
        for number in range(self.rounds):
            shift = number % len(started)
            for target in started[shift:] + started[:shift]:
                self.say(f"{say}: round {number + 1} of {self.rounds}, {target.name}")
                yield number, target


@dataclass(frozen=True)
class Requests:
    """Closed loop of small replies through wrk."""

    name: str
    title: str
    connections: int
    size: int
    split: bool
    kind: str = "requests"

    def run(self, bench):
        large = self.size > bodies.SMALL_BYTES
        backend = "bare" if large else bench.backend
        with bench.stage(self.split, backend=backend, large=large) as (fleet, place, provider, started):
            body = place.folder / "body.json"
            body.write_bytes(bodies.request(self.size))
            samples = {t.name: [] for t in started}
            common = (fleet, bench.tools, place)
            for target in started:
                bench.say(f"{self.name}: warming up and checking every reply, {target.name}")
                targets.check_whole_reply(target, body.read_bytes())
                if not bench.quick:
                    warm = load.wrk(*common, target, provider, self.connections, WARM_UP_SECONDS, body, reply_bytes=bodies.REPLY_BYTES)
                    samples[target.name].append({"warm_up": True, "errors": warm["errors"], "requests": warm["requests"]})
            check = bodies.REPLY_BYTES if bench.quick else None  # a quick run judges no figure, so it may check as it loads
            for _, target in bench.rounds_of(started, self.name):
                samples[target.name].append(load.wrk(*common, target, provider, self.connections, bench.seconds, body, reply_bytes=check))
            for target in started:
                targets.check_whole_reply(target, body.read_bytes())
            return {t.name: _merge(samples[t.name], _memory(t, provider)) for t in started}


@dataclass(frozen=True)
class Streams:
    """Many event streams at once, each begun as soon as one ends."""

    name: str
    title: str
    connections: int
    frames: targets.Frames
    split: bool
    kind: str = "streams"

    def run(self, bench):
        with bench.stage(self.split, self.frames) as (fleet, place, provider, started):
            request = bodies.request(bodies.SMALL_BYTES, stream=True)
            body = place.folder / "body.json"
            body.write_bytes(request)
            samples = {t.name: [] for t in started}
            common = (fleet, bench.tools, place)
            for _, target in bench.rounds_of(started, self.name):
                sample = load.streams(*common, target, provider, self.connections, bench.seconds, request, self.frames)
                samples[target.name].append(sample)
            cross = {}
            for target in started:
                bench.say(f"{self.name}: cross-check by wrk, {target.name}")
                seconds = 1 if bench.quick else max(3, bench.seconds)
                checked = load.wrk(*common, target, provider, self.connections, seconds, body, frames=self.frames.count)
                samples[target.name].append({"warm_up": True, "errors": checked["errors"], "requests": checked["requests"]})
                # Little's law: wrk counts whole streams only, and the last ones of its time are not whole.
                cross[target.name] = self.connections / checked["mean_us"] * 1e6
            merged = {t.name: _merge(samples[t.name], _memory(t, provider)) for t in started}
            for name, streams_per_second in cross.items():
                merged[name]["wrk_streams_per_second"] = streams_per_second
            return merged


@dataclass(frozen=True)
class Live:
    """Thousands of slow streams held open: what each costs in memory, and whether it is given back."""

    name: str
    title: str
    frames: targets.Frames
    kind: str = "live"

    def run(self, bench):
        count = min(bench.live_streams, (bench.tools["files"] - 500) // 2)
        request = bodies.request(bodies.SMALL_BYTES, stream=True)
        merged = {}
        with bench.stage(False, self.frames) as (fleet, place, provider, started):
            time.sleep(IDLE_SETTLE_SECONDS)
            for target in started:
                if target is provider:
                    continue
                bench.say(f"{self.name}: {count} streams through {target.name}")
                idle, seen = target.process.memory(), []
                hold = 1 if bench.quick else max(4, bench.seconds)
                sample = load.streams(
                    fleet, bench.tools, place, target, provider, count, hold, request, self.frames,
                    mode="hold", while_open=lambda seen=seen, target=target: seen.append(target.process.memory()),
                )
                sample["errors"]["not_open"] = count - sample["open"]
                time.sleep(0 if bench.quick else RECOVER_SECONDS)
                after = target.process.memory()
                rss, pss = max(m.rss for m in seen), max(m.pss for m in seen)
                merged[target.name] = _merge([sample]) | {
                    "streams": count, "idle_rss": idle.rss, "live_rss": rss, "after_rss": after.rss,
                    "rss_per_stream": (rss - idle.rss) / count, "pss_per_stream": (pss - idle.pss) / count,
                }
        return merged


@dataclass(frozen=True)
class Hits:
    """Closed loop of one question whose answer is remembered, beside a bare hyper server that knows the answer."""

    name: str
    title: str
    connections: int
    split: bool
    kind: str = "hits"

    def run(self, bench):
        with bench.folder() as folder, processes.Fleet() as fleet:
            place = bench.place(self.split, folder)
            provider = targets.start_backend(fleet, bench.tools, "bare", place.generator, folder, None)
            tidegate = targets.start(fleet, bench.tools, "tidegate", place.proxy, provider, folder, cache=REMEMBER)
            targets.wait_ready(tidegate)
            questions = bodies.questions(1)
            head = targets.wait_remembered(tidegate, questions, "memory")
            hyper = targets.start_hyper(fleet, bench.tools, place.proxy, folder, head)
            targets.wait_ready(hyper)
            fleet.stop(provider.process)  # from here on an answer is remembered, or an error
            return _load_remembered(bench, fleet, place, self, provider, {hyper: "memory", tidegate: "memory"}, questions)


@dataclass(frozen=True)
class RedisHits:
    """One connection whose questions are all remembered: in memory, or in Redis alone; and Redis asked directly."""

    name: str
    title: str
    connections: int = 1
    kind: str = "redis"

    def run(self, bench):
        with bench.folder() as folder, bench.folder() as other, processes.Fleet() as fleet:
            place = bench.place(True, folder)
            provider = targets.start_backend(fleet, bench.tools, "bare", place.generator, folder, None)
            redis = targets.start_redis(fleet, bench.tools, place.generator, folder)
            near = targets.start(fleet, bench.tools, "tidegate", place.proxy, provider, other, cache=REMEMBER)
            far = targets.start(fleet, bench.tools, "tidegate", place.proxy, provider, folder, cache=REMEMBER_IN_REDIS.format(port=redis.port))
            near = replace(near, name="memory")
            questions = bodies.questions(QUESTIONS)
            tiers = {near: "memory", far: "redis"}
            for target, tier in tiers.items():
                targets.wait_ready(target)
                targets.wait_remembered(target, questions, tier)
            fleet.stop(provider.process)
            entry, *_ = targets.ask_redis(bench.tools, redis, "--scan", "--pattern", "tidegate:entry:*")
            gets = {redis: lambda target: load.redis_gets(fleet, bench.tools, place, target, entry, bench.seconds)}
            return _load_remembered(bench, fleet, place, self, redis, tiers, questions, gets)


def _load_remembered(bench, fleet, place, scenario, backend, tiers, questions, others=None):
    """Rounds of wrk over the targets of `tiers`, each of which must have every answer in that tier, and of the
    functions of `others` over theirs."""
    body = place.folder / "questions"
    body.write_bytes(b"\n".join(questions))
    common = (fleet, bench.tools, place)

    def ask(target, seconds, reply_bytes=None):
        return load.wrk(*common, target, backend, scenario.connections, seconds, body, reply_bytes=reply_bytes)

    samples = {t.name: [] for t in (*(others or {}), *tiers)}
    for target in tiers:
        if not bench.quick:
            bench.say(f"{scenario.name}: warming up and checking every reply, {target.name}")
            warm = ask(target, WARM_UP_SECONDS, bodies.REPLY_BYTES)
            samples[target.name].append({"warm_up": True, "errors": warm["errors"], "requests": warm["requests"]})
    loads = (others or {}) | dict.fromkeys(tiers, lambda target: ask(target, bench.seconds, bodies.REPLY_BYTES if bench.quick else None))
    for _, target in bench.rounds_of(list(loads), scenario.name):
        samples[target.name].append(loads[target](target))
    for target, tier in tiers.items():
        targets.wait_remembered(target, questions, tier)
    return {t.name: _merge(samples[t.name], _memory(t, backend)) for t in loads}


@dataclass(frozen=True)
class Footprint:
    """Starting, and being idle: time to the first answer, memory at rest, size of the program."""

    name: str
    title: str
    kind: str = "footprint"

    def run(self, bench):
        merged = {}
        programs = {"nginx": "nginx", "haproxy": "haproxy", "tidegate": "tidegate"}
        for name in (n for n in bench.names if n != "direct"):
            starts, idle = [], []
            for number in range(1 if bench.quick else max(STARTS_MIN, bench.rounds)):
                bench.say(f"{self.name}: start {number + 1}, {name}")
                with bench.folder() as folder, processes.Fleet() as fleet:
                    place = bench.place(False, folder)
                    provider = targets.start_backend(fleet, bench.tools, "bare", place.generator, folder, None)
                    target = targets.start(fleet, bench.tools, name, place.proxy, provider, folder)
                    starts.append(targets.wait_ready(target))
                    time.sleep(IDLE_SETTLE_SECONDS)
                    idle.append(target.process.memory())
            merged[name] = {
                "start_seconds": statistics.median(starts), "binary_bytes": os.path.getsize(bench.tools[programs[name]]),
                "idle_rss": statistics.median(m.rss for m in idle), "idle_pss": statistics.median(m.pss for m in idle),
                "errors": {}, "rounds": [],
            }
            if name == "tidegate":
                merged[name]["bare_start_seconds"] = _bare_start(bench)
        return merged


def _bare_start(bench):
    """`tidegate serve` with no file and no provider's key, until `sim/fast` has answered. Median of three."""
    seconds = []
    for _ in range(1 if bench.quick else STARTS_MIN):
        with bench.folder() as folder, processes.Fleet() as fleet:
            port = processes.free_port()
            environment = targets.bare_environment(folder) | {
                "TIDEGATE__SERVER__LISTEN": f"127.0.0.1:{port}",
                "TIDEGATE__ADMIN__LISTEN": f"127.0.0.1:{processes.free_port()}",
            }
            process = fleet.start([bench.tools["tidegate"], "serve"], bench.cores, folder / "serve.log", env=environment, cwd=folder)
            target = targets.Target("tidegate serve, no file", port, process)
            body = b'{"model":"sim/fast","max_tokens":1,"messages":[{"role":"user","content":"Hello"}]}'
            seconds.append(targets.wait_ready(target, body, lambda status, text: status == 200 and b'"choices"' in text))
    return statistics.median(seconds)


def _memory(target, provider):
    if target is provider:
        return {}
    memory = target.process.memory()
    return {"rss": memory.rss, "pss": memory.pss, "peak_rss": memory.peak}


def _merge(samples, extra=None):
    """Medians over the measured rounds, errors summed over all; the rounds themselves stay beside."""
    rounds = [s for s in samples if not s.get("warm_up")]
    merged = {key: statistics.median(s[key] for s in rounds) for key in rounds[0] if isinstance(rounds[0][key], (int, float))}
    merged["errors"] = {kind: sum(s["errors"].get(kind, 0) for s in samples) for kind in {k for s in samples for k in s["errors"]}}
    return merged | (extra or {}) | {"rounds": rounds}


PROXYING = (
    Requests("chat-64-split", "64 connections, 1 KB; proxy alone on one core", 64, bodies.SMALL_BYTES, True),
    Requests("chat-64-shared", "64 connections, 1 KB; all share the cores", 64, bodies.SMALL_BYTES, False),
    Requests("chat-1-split", "1 connection, 1 KB; proxy alone on one core", 1, bodies.SMALL_BYTES, True),
    Requests("chat-1-shared", "1 connection, 1 KB; all share the cores", 1, bodies.SMALL_BYTES, False),
    Requests("body-100k", "16 connections, 100 KB requests; proxy alone on one core", 16, bodies.LARGE_BYTES, True),
    Streams("streams-256", "256 streams of 50 frames at 5 ms; proxy alone on one core", 256, targets.Frames(5000, 5000, 50), True),
    Live("live-5000", "live streams, a frame a second each; all share the cores", targets.Frames(50_000, 1_000_000, 100_000)),
    Footprint("footprint", "start-up, idle memory, size"),
)

# Only of a gateway that remembers.
REMEMBERING = (
    Hits("hit-64", "64 connections, 1 KB, the answer in memory; server alone on one core", 64, True),
    Hits("hit-64-shared", "64 connections, 1 KB, the answer in memory; all share the cores", 64, False),
    RedisHits("redis-hit", "1 connection, 1 KB, the answer in memory or in Redis; server alone on one core"),
)
ALL = PROXYING + REMEMBERING
