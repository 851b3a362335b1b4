"""The load generators: wrk for requests, `streams.c` for event streams, redis-benchmark for Redis alone. Each run is
one measured sample.

A sample is a flat dict of figures; the CPU time that the proxy spent meanwhile is taken here, because
only here is it known when the measured interval begins and ends.
"""

import csv
import json
import os
import subprocess
import threading
import time

import processes
import targets

WRK_TIMEOUT_SECONDS = 10
GRACE_SECONDS = 45  # beyond the measured time: starting up, ramps, a slow machine
RAMP_MS = 250
GETS_PER_SECOND = 20_000  # about what one connection does: redis-benchmark is told how many, not how long


class Meter:
    """CPU spent between `open` and `shut`: by the proxy, by the provider, by others on the machine."""

    def __init__(self, target, backend, generator=None):
        self.target, self.backend, self.generator = target, backend, generator
        self.direct = target is backend

    def open(self):
        self._before = self._read()

    def shut(self):
        after = self._read()
        self.seconds, self.proxy, self.provider, self.own_rest, self.machine = (a - b for a, b in zip(after, self._before))

    def figures(self, cores, generator_seconds=0.0):
        """Shares: `busy` of the proxy's cores; `foreign`, what others used of the whole machine."""
        ours = self.proxy + self.provider + self.own_rest + generator_seconds
        found = {"foreign": max(0.0, self.machine - ours) / self.seconds / (os.cpu_count() or 1)}
        if not self.direct:
            found |= {"cpu_seconds": self.proxy, "busy": self.proxy / self.seconds / len(cores)}
        return found

    def _read(self):
        proxy = 0.0 if self.direct else self.target.process.cpu_seconds()
        own = os.times()
        rest = own.user + own.system + (self.generator.cpu_seconds() if self.generator else 0.0)
        return time.monotonic(), proxy, self.backend.process.cpu_seconds(), rest, processes.machine_busy_seconds()


def wrk(fleet, tools, place, target, backend, connections, seconds, body, reply_bytes=None, frames=None):
    """Loads `target` with one request over and over. `reply_bytes`/`frames`: check every reply too."""
    environment = {"PATH": os.environ.get("PATH", ""), "BENCH_BODY": str(body)}
    if reply_bytes:
        environment["BENCH_REPLY_BYTES"] = str(reply_bytes)
    if frames:
        environment["BENCH_FRAMES"] = str(frames)
    threads = connections if reply_bytes else 1  # when checking: see wrk.lua
    argv = [tools["wrk"], f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{WRK_TIMEOUT_SECONDS}s",
            "-s", targets.HERE / "wrk.lua", target.url]
    meter = Meter(target, backend)
    meter.open()
    process = fleet.start(argv, place.generator, place.folder / "wrk.log", env=environment, stdout=subprocess.PIPE)
    try:
        text, spent = _output(process, seconds)
        meter.shut()
    finally:
        fleet.stop(process)
    lines = [line[1:] for line in text.splitlines() if line.startswith("@")]
    if not lines:
        raise targets.Failed(f"wrk failed against {target.name}: {text.strip() or process.log_tail()}")
    sample = json.loads(lines[-1])
    sample["per_second"] = sample["requests"] / sample["seconds"]
    if reply_bytes is None and not frames and sample["bytes"] < sample["requests"] * place.reply_bytes:
        sample["errors"]["short"] = 1
    sample |= meter.figures(place.proxy, spent)
    if not meter.direct:
        sample["cpu_us"] = sample["cpu_seconds"] / max(1, sample["requests"]) * 1e6
    return sample


def redis_gets(fleet, tools, place, redis, key, seconds):
    """`GET key` over and over on one connection, from the proxy's place."""
    argv = [tools["redis-benchmark"], "-p", redis.port, "-c", 1, "-n", GETS_PER_SECOND * seconds, "--csv", "GET", key]
    meter = Meter(redis, redis)
    meter.open()
    process = fleet.start(argv, place.proxy, place.folder / "redis-benchmark.log", stdout=subprocess.PIPE)
    try:
        text, spent = _output(process, seconds)
        meter.shut()
    finally:
        fleet.stop(process)
    rows = list(csv.DictReader(text.splitlines()))
    if process.popen.returncode or not rows or "p99_latency_ms" not in rows[-1]:
        raise targets.Failed(f"redis-benchmark failed: {text.strip() or process.log_tail()}")
    figures = {"per_second": float(rows[-1]["rps"]), "errors": {}}
    figures |= {f"{name}_us": float(rows[-1][f"{name}_latency_ms"]) * 1000 for name in ("p50", "p99")}
    return figures | meter.figures(place.proxy, spent)


def streams(fleet, tools, place, target, backend, connections, seconds, request, frames, mode="flow", while_open=None):
    """Holds `connections` streams open. `while_open` is called again and again while the measured time runs."""
    head = (f"POST {targets.ENDPOINT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer bench\r\nContent-Length: {len(request)}\r\n\r\n")
    file = place.folder / "stream-request"
    file.write_bytes(head.encode() + request)
    ramp_ms = RAMP_MS if mode == "flow" else connections  # 1,000 new streams a second, which is no burst
    argv = [tools["streams"], target.port, file, connections, frames.count, ramp_ms, seconds, mode]
    process = fleet.start(argv, place.generator, place.folder / "streams.log", stdout=subprocess.PIPE)
    meter = Meter(target, backend, process)
    try:
        result = _follow(process, meter, seconds, while_open)
    finally:
        fleet.stop(process)
    if result is None:
        raise targets.Failed(f"the stream generator failed against {target.name}\n{process.log_tail()}")
    result |= meter.figures(place.proxy)
    refusal = result.pop("refusal")
    if refusal:
        result["errors"][f"status, first {refusal}"] = result["errors"].pop("status")
    result["frames_per_second"] = result["frames"] / result["seconds"]
    result["streams_per_second"] = result["frames_per_second"] / frames.count
    if not meter.direct:  # by frames: streams begun and ended do not match at the interval's edges
        result["cpu_ms_per_1000_streams"] = result["cpu_seconds"] * 1e3 / max(1, result["frames"]) * frames.count * 1000
    return result


def _follow(process, meter, seconds, while_open):
    """Reads the generator's events, metering between `open` and `shut`; its result, or None."""
    guard = threading.Timer(seconds + GRACE_SECONDS, process.popen.kill)
    guard.start()
    done = threading.Event()
    watcher = None
    try:
        for line in process.popen.stdout:
            event = json.loads(line)
            if event["event"] == "open":
                meter.open()
                if while_open:
                    watcher = threading.Thread(target=_call_until, args=(done, while_open), daemon=True)
                    watcher.start()
            elif event["event"] == "shut":
                meter.shut()
                done.set()
            else:
                return event
        return None
    finally:
        guard.cancel()
        done.set()
        if watcher:
            watcher.join()


def _call_until(done, call):
    while not done.is_set():
        call()
        done.wait(0.5)


def _output(process, seconds):
    """All that a generator printed and the CPU seconds it took; it is killed if it does not end."""
    guard = threading.Timer(seconds + GRACE_SECONDS, process.popen.kill)
    guard.start()
    try:
        text = process.popen.stdout.read()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.popen.returncode = os.waitstatus_to_exitcode(status)
    finally:
        guard.cancel()
    return text, usage.ru_utime + usage.ru_stime
