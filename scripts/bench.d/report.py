"""What the samples come to: added latency, ratios, the bars and whether they were met; as text and Markdown.

The bars are the project's floor for Tidegate against HAProxy and nginx in the same run, and for its hits against a
bare hyper server.
"""

import statistics
from dataclasses import dataclass

MB = 1_000_000
KIB = 1024
# A p99 of one connection is decided by single interruptions; below this, "twice as much" is noise.
ADDED_FLOOR_US = 5.0
# Which target others add to, and which adds to none: it is asked by another generator.
BASES = {"redis": "memory"}
APART = "redis"


@dataclass(frozen=True)
class Bar:
    """One figure to reach. `reference` None: an absolute limit, and `ratio` is the value itself."""

    scenario: str
    figure: str
    ours: float
    reference: str
    theirs: float | None
    ratio: float
    limit: float
    at_least: bool
    show: object

    @property
    def met(self):
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit

    def row(self, judged):
        sign = "≥" if self.at_least else "≤"
        if self.theirs is None:
            return [self.scenario, self.figure, self.show(self.ours), "", "", f"{sign} {self.show(self.limit)}", self._mark(judged)]
        return [self.scenario, self.figure, self.show(self.ours), f"{self.show(self.theirs)} {self.reference}",
                f"{self.ratio:.2f}", f"{sign} {self.limit:g}", self._mark(judged)]

    def _mark(self, judged):
        return "-" if not judged else "✓" if self.met else "✗"


def add_latency(results):
    """Adds `added_p50_us`/`added_p99_us` over `direct` or the scenario's own base: the median of the rounds' own
    differences."""
    for scenario in results.values():
        base = BASES.get(scenario["kind"], "direct")
        reference = scenario["targets"].get(base)
        if not reference:
            continue
        for name, target in scenario["targets"].items():
            if name in (base, APART):
                continue
            for key in ("p50_us", "p99_us", "first_p50_us", "first_p99_us"):
                if key in target:
                    pairs = zip(target["rounds"], reference["rounds"])
                    target[f"added_{key}"] = statistics.median(mine[key] - theirs[key] for mine, theirs in pairs)


def bars(results):
    found = []

    def against(scenario, figure, key, reference, limit, at_least=False, show=_plain, floor=0.0):
        by_name = results.get(scenario, {}).get("targets", {})
        ours, theirs = (by_name.get(n, {}).get(key) for n in ("tidegate", reference))
        if ours is None or theirs is None:
            return
        ratio = max(ours, floor) / max(theirs, floor, 1e-9)
        found.append(Bar(scenario, figure, ours, reference, theirs, ratio, limit, at_least, show))

    def absolute(scenario, figure, key, limit, show):
        value = results.get(scenario, {}).get("targets", {}).get("tidegate", {}).get(key)
        if value is not None:
            found.append(Bar(scenario, figure, value, "", None, value, limit, False, show))

    for scenario in ("chat-64-split", "chat-64-shared"):
        against(scenario, "CPU per 1,000 requests", "cpu_us", "haproxy", 1.6, show=_ms)
        against(scenario, "requests/s", "per_second", "haproxy", 0.65, True)
    for scenario in ("chat-1-split", "chat-1-shared"):
        against(scenario, "added p50", "added_p50_us", "nginx", 1.5, show=_us, floor=ADDED_FLOOR_US)
        against(scenario, "added p99", "added_p99_us", "nginx", 1.5, show=_us, floor=ADDED_FLOOR_US)
    against("body-100k", "requests/s", "per_second", "nginx", 0.7, True)
    against("streams-256", "frames/s", "frames_per_second", "nginx", 0.99, True)
    against("streams-256", "CPU per 1,000 streams", "cpu_ms_per_1000_streams", "nginx", 1.25, show=_ms)
    against("streams-256", "added first token p99", "added_first_p99_us", "nginx", 2.0, show=_us, floor=ADDED_FLOOR_US)
    for scenario in ("hit-64", "hit-64-shared"):
        against(scenario, "requests/s", "per_second", "hyper", 0.85, True)
        against(scenario, "p99", "p99_us", "hyper", 1.3, show=_us)
    for scenario in ("chat-64-split", "chat-64-shared"):
        absolute(scenario, "peak memory", "peak_rss", 40 * MB, _mb)
    absolute("live-5000", "memory a stream beyond idle", "rss_per_stream", 64 * KIB, _kib)
    absolute("footprint", "idle memory", "idle_rss", 25 * MB, _mb)
    absolute("footprint", "binary", "binary_bytes", 30 * MB, _mb)
    absolute("footprint", "no file: start to first answer", "bare_start_seconds", 0.3, _seconds)
    return found


def faults(results):
    """Every kind of error that any target had, as a line each."""
    return [f"{scenario}: {name}: {count} {kind}"
            for scenario, result in results.items()
            for name, target in result["targets"].items()
            for kind, count in sorted(target["errors"].items()) if count]


def noise(results):
    """The largest share of the machine that others used during a scenario (median over its rounds)."""
    return max((target.get("foreign", 0.0) for result in results.values() for target in result["targets"].values()), default=0.0)


def tables(results, judged):
    """(title, header, rows) for everything, the bars last."""
    for name, result in results.items():
        header, columns = COLUMNS[result["kind"]]
        rows = [[target] + [_cell(figures, key, show) for key, show in columns] for target, figures in result["targets"].items()]
        yield f"{name}: {result['title']}", ["", *header], rows
    rows = [bar.row(judged) for bar in bars(results)]
    if rows:
        yield "Tidegate against the bars", ["scenario", "figure", "tidegate", "reference", "ratio", "bar", "met"], rows


def as_text(title, header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [title]
    for row in [header, *rows]:
        cells = [cell.ljust(w) if i == 0 or not _numeric(rows, i) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(title, header, rows):
    lines = [f"## {title}", "", "| " + " | ".join(header) + " |"]
    lines.append("|" + "|".join(" ---: " if i and _numeric(rows, i) else " --- " for i in range(len(header))) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _numeric(rows, column):
    return all(not row[column] or row[column][0] in "-0123456789≤≥" for row in rows)


def _cell(figures, key, show):
    if key == "errors":
        return str(sum(figures["errors"].values()))
    value = figures.get(key)
    return "" if value is None else show(value)


def _plain(value):
    return f"{value:,.0f}"


def _us(value):
    return f"{value:,.1f} µs" if abs(value) < 100 else f"{value:,.0f} µs"


def _ms(value):
    return f"{value:,.1f} ms"


def _mb(value):
    return f"{value / MB:.1f} MB"


def _kib(value):
    return f"{value / KIB:.1f} KiB"


def _seconds(value):
    return f"{value * 1000:,.0f} ms"


def _share(value):
    return f"{value:.0%}"


_TAIL = [("busy", _share), ("foreign", _share), ("peak_rss", _mb), ("pss", _mb), ("errors", _plain)]
_TAIL_HEADER = ["proxy busy", "foreign CPU", "peak RSS", "PSS", "errors"]
COLUMNS = {
    "requests": (
        ["requests/s", "p50", "p99", "added p50", "added p99", "CPU per 1,000", *_TAIL_HEADER],
        [("per_second", _plain), ("p50_us", _us), ("p99_us", _us), ("added_p50_us", _us), ("added_p99_us", _us),
         ("cpu_us", _ms), *_TAIL],
    ),
    "streams": (
        ["frames/s", "streams/s", "by wrk", "first p50", "first p99", "added p50", "added p99", "gap p99", "CPU per 1,000", *_TAIL_HEADER],
        [("frames_per_second", _plain), ("streams_per_second", _plain), ("wrk_streams_per_second", _plain),
         ("first_p50_us", _us), ("first_p99_us", _us), ("added_first_p50_us", _us), ("added_first_p99_us", _us),
         ("gap_p99_us", _us), ("cpu_ms_per_1000_streams", _ms), *_TAIL],
    ),
    "live": (
        ["streams", "idle RSS", "live RSS", "a stream", "a stream (PSS)", "afterwards", "frames/s", "errors"],
        [("streams", _plain), ("idle_rss", _mb), ("live_rss", _mb), ("rss_per_stream", _kib), ("pss_per_stream", _kib),
         ("after_rss", _mb), ("frames_per_second", _plain), ("errors", _plain)],
    ),
    "hits": (
        ["requests/s", "p50", "p99", "CPU per 1,000", *_TAIL_HEADER],
        [("per_second", _plain), ("p50_us", _us), ("p99_us", _us), ("cpu_us", _ms), *_TAIL],
    ),
    "redis": (
        ["requests/s", "p50", "p99", "added p50", "added p99", "proxy busy", "foreign CPU", "errors"],
        [("per_second", _plain), ("p50_us", _us), ("p99_us", _us), ("added_p50_us", _us), ("added_p99_us", _us),
         ("busy", _share), ("foreign", _share), ("errors", _plain)],
    ),
    "footprint": (
        ["first answer", "no file", "idle RSS", "idle PSS", "binary"],
        [("start_seconds", _seconds), ("bare_start_seconds", _seconds), ("idle_rss", _mb), ("idle_pss", _mb), ("binary_bytes", _mb)],
    ),
}
