"""What is loaded: the provider itself (`direct`), nginx, HAProxy and Tidegate before it; a bare hyper server and Redis.

Starts each with the configuration file that lies beside this one and waits until it answers rightly.
How they are loaded and judged is not known here.
"""

import http.client
import os
import pwd
import grp
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import bodies
import processes

HERE = Path(__file__).resolve().parent
READY_SECONDS_MAX = 15
NAMES = ("direct", "nginx", "haproxy", "tidegate")
ENDPOINT = "/v1/chat/completions"
# What a server adds of its own, whatever it answers.
OWN_HEADERS = ("date", "content-length", "connection")


class Failed(Exception):
    """Something did not start, or answered wrongly. The message is for the reader of the terminal."""


@dataclass(frozen=True)
class Frames:
    """How the provider streams: delays in microseconds."""

    first_us: int
    between_us: int
    count: int


@dataclass(frozen=True)
class Target:
    name: str
    port: int
    process: processes.Process | None  # None: direct, where the provider itself is loaded

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{ENDPOINT}"


def find(program):
    """A program's path; Debian keeps servers where a plain user's PATH does not look."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def compiled(compiler, source, folder):
    """The helper `source`.c as a program. Compiled anew each run: it takes half a second and is never stale."""
    program = folder / source
    done = subprocess.run([compiler, "-O2", "-o", program, HERE / f"{source}.c"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{source}.c does not compile:\n{done.stderr}")
    return str(program)


def start_backend(fleet, tools, kind, cores, folder, frames):
    """The provider: `bare` (mock.c) or `nginx` (a canned reply, no streams)."""
    port = processes.free_port()
    reply = folder / "reply.json"
    reply.write_bytes(bodies.reply())
    if kind == "nginx" and not frames:
        config = _fill("nginx-backend.conf", folder, PORT=port, REPLY=_nginx_quoted(bodies.reply()), **_nginx_common(tools))
        argv = [tools["nginx"], "-p", folder, "-c", config, "-e", "stderr"]
    else:
        shape = [frames.first_us, frames.between_us, frames.count] if frames else [0, 0, 0]
        argv = [tools["mock"], port, reply, *shape]
    backend = Target("direct", port, fleet.start(argv, cores, folder / "backend.log"))
    wait_ready(backend)
    return backend


def start(fleet, tools, name, cores, backend, folder, streaming=False, large=False, cache=""):
    """A proxy before `backend`, on `cores`, tuned for streams or for large bodies where that is the load.
    `cache`: what is added to Tidegate's configuration.

    Returns at once; `wait_ready` waits for its first answer.
    """
    port = processes.free_port()
    common = {"PORT": port, "BACKEND": backend.port, "WORKERS": len(cores)}
    if name == "nginx":
        tuning = {"BUFFERING": "off" if streaming else "on", "REQUEST_BUFFERING": "off" if large else "on"}
        config = _fill("nginx.conf", folder, **tuning, **common, **_nginx_common(tools))
        argv, env = [tools["nginx"], "-p", folder, "-c", config, "-e", "stderr"], None
    elif name == "haproxy":
        tuning = {"CONNECTIONS": min(9000, (tools["files"] - 200) // 2), "BUFFER": 131072 if large else 16384}
        argv = [tools["haproxy"], "-db", "-f", _fill("haproxy.cfg", folder, **tuning, **common)]
        env = None
    else:
        config = _fill("tidegate.toml", folder, ADMIN=processes.free_port(), CACHE=cache, **common)
        argv, env = [tools["tidegate"], "serve", "--config", config], bare_environment(folder)
    return Target(name, port, fleet.start(argv, cores, folder / f"{name}.log", env=env, cwd=folder))


def start_hyper(fleet, tools, cores, folder, head):
    """A bare hyper server whose every answer is the provider's reply under `head`, but for what servers add themselves."""
    port = processes.free_port()
    file = folder / "hyper-head"
    file.write_text("".join(f"{name}: {value}\n" for name, value in head.items() if name.lower() not in OWN_HEADERS))
    argv = [tools["hyper"], port, file, folder / "reply.json", len(cores)]
    return Target("hyper", port, fleet.start(argv, cores, folder / "hyper.log"))


def start_redis(fleet, tools, cores, folder):
    """A Redis that keeps nothing on disk."""
    port = processes.free_port()
    argv = [tools["redis-server"], "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--loglevel", "warning"]
    redis = Target("redis", port, fleet.start(argv, cores, folder / "redis.log", cwd=folder))
    while ask_redis(tools, redis, "PING") != ["PONG"]:
        if not redis.process.alive() or time.monotonic() - redis.process.started > READY_SECONDS_MAX:
            raise Failed(f"redis-server does not answer\n{redis.process.log_tail()}")
        time.sleep(0.01)
    return redis


def ask_redis(tools, redis, *command):
    """What redis-cli prints, by lines."""
    done = subprocess.run([tools["redis-cli"], "-p", str(redis.port), *command], capture_output=True, text=True, check=False)
    return done.stdout.split()


def bare_environment(folder):
    """No provider's key and no setting of the user's reaches the gateway under test."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR")}
    return {**kept, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}


def ask(port, body, timeout=5.0):
    """One request on a connection of its own: (status, head, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer bench"}
        connection.request("POST", ENDPOINT, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def wait_ready(target, body=None, right=None):
    """Asks until the answer is right; seconds from the process's start to that answer."""
    body = body or bodies.request(bodies.SMALL_BYTES)
    right = right or (lambda status, text: status == 200 and text == bodies.reply())
    process, last = target.process, "no answer"
    while time.monotonic() - process.started < READY_SECONDS_MAX:
        try:
            status, _head, text = ask(target.port, body)
        except (OSError, http.client.HTTPException) as fault:
            last = f"{type(fault).__name__}: {fault}"
        else:
            if right(status, text):
                seconds = time.monotonic() - process.started
                process.tree()
                return seconds
            last = f"status {status}, {len(text)} bytes: {text[:300]!r}"
        if not process.alive():
            last = f"it ended with code {process.popen.returncode}"
            break
        time.sleep(0.001)
    raise Failed(f"{target.name} did not answer rightly ({last})\n{process.log_tail()}")


def check_whole_reply(target, body):
    """The reply, byte for byte, once: what the generators count by length and status alone."""
    status, head, text = ask(target.port, body)
    if status != 200 or text != bodies.reply():
        raise Failed(f"{target.name} answered wrongly: status {status}, {len(text)} bytes: {text[:300]!r}")
    return head


def wait_remembered(target, questions, tier):
    """Asks everything again and again until each answer comes from `tier`: what is fetched is kept a little later.
    The head of the last answer."""
    began = time.monotonic()
    while True:
        heads = [check_whole_reply(target, question) for question in questions]
        told = {head["x-tidegate-cache"] for head in heads}
        if told == {f"hit; tier={tier}"}:
            return heads[-1]
        if time.monotonic() - began > READY_SECONDS_MAX:
            raise Failed(f"{target.name}: not every answer is a hit in {tier}, but: {', '.join(map(str, told))}")


def _fill(template, folder, **values):
    text = (HERE / template).read_text()
    for name, value in {**values, "FOLDER": folder}.items():
        text = text.replace(f"@{name}@", str(value))
    path = folder / template
    path.write_text(text)
    return path


def _nginx_common(tools):
    # Started by root, nginx would hand its workers to `nobody`, who cannot write to our folder.
    user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
    return {"USER": user, "FILES": tools["files"]}


def _nginx_quoted(text):
    return text.decode().replace("\\", "\\\\").replace("'", "\\'")
