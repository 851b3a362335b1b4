"""PostgreSQL and PgBouncer of a test's own: crashed, frozen, killed, and brought back with what they had on disk.

Neither runs as root, which both refuse: where the test is root, they are given to the user `postgres`. Their folder
is not the test's, whose own may be closed to that user. Not here: what a gateway makes of it; and the store's own
tests, which do the same in Rust (`crates/store/tests/server`).
"""

from __future__ import annotations

import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.processes import free_port, listening
from support.waiting import wait_until

# Who may do everything, and needs no password.
USER = "tidegate"
# Below the range that the system takes ports from: what reconnects to a dead server there cannot happen to connect to
# itself.
PORTS = range(22_000, 32_000)
PATIENCE_SECONDS = 60.0
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 200
shared_buffers = '32MB'
logging_collector = off
log_min_messages = warning
"""
BOUNCER_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 5
max_client_conn = 1000
unix_socket_dir =
server_login_retry = 1
query_wait_timeout = 5
"""


class _Server:
    """A program that serves one port, in a folder of its own; it goes when the test does."""

    def __init__(self, name: str):
        self.folder = Path(tempfile.mkdtemp(prefix=f"tidegate-{name}-"))
        self.port = _port()
        self.process: subprocess.Popen | None = None
        self._give(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_exception) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def freeze(self) -> None:
        """Stops it and all that it has started, as a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it, and all that it has started, with no word to anybody."""
        self._signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Ends it in good order, however it stands."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        self.thaw()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _launch(self, program: Path, *arguments: str | Path) -> None:
        # The kernel ends it where the test is killed before it could.
        leash = ["setpriv", "--pdeathsig", "INT", "--"] if shutil.which("setpriv") else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*leash, program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_user(),
            )

    def _wait(self, what: str, there) -> None:
        def up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended at its start: {self.log()}")
            return there()

        wait_until(what, up, PATIENCE_SECONDS)

    def _signal(self, number: int) -> None:
        parent = self.process.pid
        # Frozen first, so that it starts no more children meanwhile.
        for pid in [parent, *_children(parent)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # A child that ended in between.

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o600)
        self._give(path)

    def _give(self, path: Path) -> None:
        if user := _user():
            os.chown(path, user["user"], user["group"])


class Postgres(_Server):
    """One server on a loopback port, which keeps its promises about what is on disk."""

    def __init__(self, settings: str = ""):
        super().__init__("postgres")
        self._databases = 0
        options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER]
        _run(_find("initdb", "postgresql"), *options, "--pgdata", self._data)
        text = SETTINGS.format(port=self.port, folder=self.folder) + settings
        self._write(self._data / "postgresql.auto.conf", text)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Starts it, with what it has on disk."""
        self._launch(_find("postgres", "postgresql"), "-D", self._data)
        self._wait("PostgreSQL answers", self._answers)

    def crash(self) -> None:
        """Ends it as a loss of power would, but for what the system has in memory: what `pg_ctl stop -m immediate`
        sends, without its pauses."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(PATIENCE_SECONDS)

    def create_database(self) -> str:
        """The name of an empty one."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.tell("postgres", f"CREATE DATABASE {name}")
        return name

    def url(self, database: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def tell(self, database: str, sql: str) -> str:
        """Does something as psql would; what comes of it, a row a line."""
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        return _run(_find("psql", "postgresql-client"), *place, "-XAtqc", sql)

    def _answers(self) -> bool:
        ready = [_find("pg_isready", "postgresql-client"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


class Bouncer(_Server):
    """A PgBouncer in transaction mode, with fewer connections to the server than it has callers."""

    def __init__(self, server: Postgres):
        super().__init__("pgbouncer")
        settings = BOUNCER_SETTINGS.format(server=server.port, port=self.port, folder=self.folder)
        self._write(self.folder / "settings.ini", settings)
        self._write(self.folder / "users", f'"{USER}" ""\n')
        self._launch(_find("pgbouncer", "pgbouncer"), self.folder / "settings.ini")
        self._wait("PgBouncer answers", lambda: listening(self.port))

    def url(self, database: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"


def _find(name: str, package: str) -> Path:
    """A program: in the path, or where Debian keeps those that are not for everybody."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0),
        reverse=True,
    )
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", *map(str, versions)])
    found = shutil.which(name, path=path)
    if not found:
        raise FileNotFoundError(f"{name} is missing: install Debian's package {package}")
    return Path(found)


def _user() -> dict:
    """As whom servers run where the test is root, in the words of `Popen`; nothing where it is not."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}
    raise RuntimeError("root may not run PostgreSQL, and there is no user postgres and no nobody")


def _run(program: Path, *arguments: str | Path) -> str:
    """Runs a program to its good end; what it writes."""
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **_user()
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} {arguments}: {done.stderr}")
    return done.stdout.strip()


def _children(of: int) -> list[int]:
    """The processes that this one has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before may hold anything, but ends with the last bracket.
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == of:
            found.append(int(stat.parent.name))
    return found


def _port() -> int:
    """A port that is free now."""
    for port in random.sample(PORTS, 200):
        if not listening(port):
            return port
    return free_port()
