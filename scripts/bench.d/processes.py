"""The benchmark's own processes: started on given cores, measured through /proc, ended by pid.

Nothing here knows what a proxy or a load is. Every process is started in a session of its own and
told to die with us (PR_SET_PDEATHSIG), so nothing outlives the run, however it ends.
"""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
STOP_SECONDS_MAX = 5
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Memory:
    """Bytes over a process and its children. `rss` and `peak` count shared pages once per process."""

    rss: int
    pss: int
    peak: int


class Process:
    """One process and whatever it forks."""

    def __init__(self, argv, cores, log, env=None, cwd=None, stdout=None):
        self.argv = [str(a) for a in argv]
        self.log = Path(log)
        self._members = []

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, cores)

        with open(self.log, "ab") as errors:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=stdout or errors, stderr=errors,
                env=env, cwd=cwd, start_new_session=True, preexec_fn=prepare, text=True if stdout else None,
            )
        self.started = time.monotonic()

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def tree(self):
        """This process and its descendants, by pid."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := _stat(int(entry))):
                parents.setdefault(int(fields[1]), []).append(int(entry))
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue.extend(parents.get(pid, []))
        self._members = found
        return found

    def cpu_seconds(self):
        """User and system time so far, in steps of one tick (10 ms), of the tree as `tree` last saw it:
        looking for children takes milliseconds, too long at the edge of a measured interval."""
        return sum(_cpu_ticks(pid) for pid in self._members or self.tree()) * TICK_SECONDS

    def memory(self):
        rss = pss = peak = 0
        for pid in self.tree():
            status = _fields(f"/proc/{pid}/status")
            rss += status.get("VmRSS", 0)
            peak += status.get("VmHWM", 0)
            pss += _fields(f"/proc/{pid}/smaps_rollup").get("Pss", 0)
        return Memory(rss, pss, peak)

    def log_tail(self, lines=12):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def stop(self):
        """SIGTERM, a while to leave, then SIGKILL for whatever is left of the session."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)  # the session is ours alone: a straggling worker, or nobody
        except ProcessLookupError:
            pass
        self.popen.wait()


class Fleet:
    """Every process of a stretch of the run, ended together, last started first."""

    def __init__(self):
        self._processes = []

    def start(self, *args, **kwargs):
        process = Process(*args, **kwargs)
        self._processes.append(process)
        return process

    def stop(self, process):
        self._processes.remove(process)
        process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self._processes:
            self._processes.pop().stop()


def machine_busy_seconds():
    """CPU time that the whole machine has spent on anything, stolen time included."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) * TICK_SECONDS


def free_port():
    """A loopback port that nothing listens on. Taken again at once by who asked, so a clash is unlikely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_fd_limit():
    """As many descriptors as we may have; children inherit it. Returns the limit reached."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _stat(pid):
    """The fields of /proc/PID/stat after the name: state, parent, …; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rsplit(")", 1)[1].split()


def _cpu_ticks(pid):
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _fields(path):
    """`Name:  123 kB` lines as {name: bytes}."""
    found = {}
    try:
        text = Path(path).read_text()
    except OSError:
        return found
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found
