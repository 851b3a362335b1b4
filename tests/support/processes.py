"""The processes under test: started on ports of their own choice, watched, and ended by their own pid.

Not here: what a test asks of them. A gateway that is stopped is also judged: it must have lived until
then, have left with status 0, and have written neither a panic nor a secret to its log.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from support.secrets import assert_no_secret

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 15.0
# "tidegate 0.1.0 listens on http://127.0.0.1:4000, admin plane on http://127.0.0.1:4001", and the mock's like it.
ANNOUNCEMENT = re.compile(
    r"listens on https?://127\.0\.0\.1:(\d+)(?:.*admin plane on https?://127\.0\.0\.1:(\d+))?.*\n"
)


def binary() -> Path:
    """The program under test: $TIDEGATE_BINARY, or the release build."""
    path = Path(os.environ.get("TIDEGATE_BINARY", ROOT / "target/release/tidegate"))
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: build it with `cargo build --release`, or run scripts/test"
        )
    return path


def free_port() -> int:
    """A loopback port nobody listens on now. Only for what must be known before a process starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port: int) -> bool:
    """Whether a connection to the loopback port is accepted."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(*arguments: str | Path, environment: dict[str, str] | None = None, cwd: Path | None = None):
    """Runs a command of the program to its end; its output is on the result as text."""
    return subprocess.run(
        [binary(), *arguments],
        env=environment or {},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Daemon:
    """One long-running process of the program, its output in a file.

    It announces on its first lines where it listens, so that it can be told to take any free port. `under` is
    a command that starts the program given to it, in the same process.
    """

    def __init__(
        self,
        arguments: list,
        folder: Path,
        environment: dict[str, str] | None = None,
        under: tuple[str, ...] = (),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log_path = folder / "log"
        self.started = time.monotonic()
        # A test run that is killed takes its children along: the kernel signals them when their parent ends.
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*leash, *under, binary(), *arguments],
                # Nothing of the developer's own environment: a provider's key there would switch it on.
                env={"PATH": os.defpath, **(environment or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.port, self.admin_port = self._announced()
        self.start_seconds = time.monotonic() - self.started

    def _announced(self) -> tuple[int, int | None]:
        """Waits for the line that says where it listens; the admin plane's port is the gateway's alone."""
        while not (line := ANNOUNCEMENT.search(self.log())):
            if not self.alive():
                raise RuntimeError(f"ended with status {self.process.returncode} at its start:\n{self.log()}")
            if time.monotonic() - self.started > START_SECONDS_MAX:
                self.kill()
                raise RuntimeError(f"not listening after {START_SECONDS_MAX} s:\n{self.log()}")
            time.sleep(0.002)
        port, admin_port = line.groups()
        return int(port), int(admin_port) if admin_port else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def alive(self) -> bool:
        return self.process.poll() is None

    def resident_bytes(self) -> int:
        """Memory resident now, as the kernel counts it."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS_MAX) -> int:
        """The exit status; a process that does not end in time is killed and the test fails."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still running {seconds} s after it was told to stop:\n{self.log()}"
            ) from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it as an operator does and judges how it lived and left."""
        lived = self.alive()
        if lived:
            self.signal(signal.SIGTERM)
        status = self.wait()
        log = self.log()
        assert lived, f"ended by itself with status {status}:\n{log}"
        assert status == 0, f"left with status {status}:\n{log}"
        assert "panicked at" not in log, log
        assert_no_secret(log, "the log")

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, kind, _value, _trace) -> None:
        if kind is None:
            self.stop()
        elif self.alive():
            self.kill()


def start_mock(folder: Path, **environment: str) -> Daemon:
    """A simulated provider in a process of its own."""
    return Daemon(["mock", "--listen", "127.0.0.1:0"], folder, environment)


def start_gateway(
    folder: Path, configuration: str, under: tuple[str, ...] = (), **environment: str
) -> Daemon:
    """A gateway with the text as its configuration file, `folder/tidegate.toml`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tidegate.toml"
    path.write_text(configuration)
    return Daemon(["serve", "--config", path], folder, environment, under)


def configured(gateway: Daemon) -> str:
    """The configuration file of a gateway that `start_gateway` started."""
    return (gateway.folder / "tidegate.toml").read_text()


def write(gateway: Daemon, text: str) -> None:
    """Puts a new file in the old one's place at once, as editors and orchestrators do."""
    path = gateway.folder / "tidegate.toml"
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def create_key(*arguments: str) -> dict:
    """What `tidegate keys create --json` prints."""
    result = run("keys", "create", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
