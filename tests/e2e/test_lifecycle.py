"""Start, stop and change under load: no request in flight is lost."""

from __future__ import annotations

import json
import signal
import socket
import threading

import pytest
from support import configuration, processes
from support.processes import Daemon, configured, free_port, listening, run, write
from support.prompts import directive
from support.raw import Closed, Connection, ask, chat, complete, events, head
from support.waiting import SETTLE_SECONDS_MAX, wait_until

SLOW_STREAM = chat("mock/instant", f"go on {directive(tokens=40, between_tokens='25ms')}", stream=True)


def begin_stream(port: int) -> Connection:
    """A stream whose head has come and whose end is a second away."""
    connection = Connection(port)
    body = json.dumps(SLOW_STREAM).encode()
    connection.send(
        head("POST", "/v1/chat/completions", port, body, {"content-type": "application/json"}) + body
    )
    status, _ = connection.response_head()
    assert status == 200
    return connection


# Start

FREE_PORTS = {"TIDEGATE__SERVER__LISTEN": "127.0.0.1:0", "TIDEGATE__ADMIN__LISTEN": "127.0.0.1:0"}


def test_it_starts_on_nothing_and_answers(tmp_path):
    """No file, no key in the environment: the built-in provider answers. (The ports are moved aside: a
    developer's own gateway may hold the usual ones.)"""
    with Daemon(["serve"], tmp_path, {"HOME": str(tmp_path), **FREE_PORTS}) as gateway:
        response = complete(gateway.port, chat("sim/fast"))
        assert response.status == 200
        assert response.json()["choices"][0]["message"]["content"]
        assert response.header("x-tidegate-target") == "sim/fast"
        assert "sim" in gateway.log(), "it says that it runs on the simulated provider"


def test_a_well_known_variable_switches_its_provider_on(tmp_path):
    environment = {
        **FREE_PORTS,
        "GROQ_API_KEY": "canary-provider-secret-5ad1",
        # Nothing is asked of the real one: no connection is opened before a request.
        "TIDEGATE__PROVIDERS__GROQ__CONNECTIONS__WARM": "0",
        "TIDEGATE__PROVIDERS__GROQ__BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
        "TIDEGATE__PROVIDERS__GROQ__API_KEY": "canary-provider-secret-5ad1",
    }
    with Daemon(["serve"], tmp_path, environment) as gateway:
        assert complete(gateway.port, chat("groq/llama-3.3-70b")).status == 502
        assert complete(gateway.port, chat("mistral/small")).status == 404


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "tidegate.toml"
        path.write_text(configuration.gateway(tmp_path / "data", port=port))
        result = run("serve", "--config", path)
        assert result.returncode == 1
        assert str(port) in result.stderr


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_in_flight_is_finished_and_nobody_new_let_in(launch, mock, number):
    gateway = launch(configuration.mock_provider(mock.port))
    idle = Connection(gateway.port)
    assert idle.request("GET", "/health").status == 200
    with begin_stream(gateway.port) as stream:
        gateway.signal(number)
        wait_until("the listener is closed", lambda: not listening(gateway.port))
        told = events(b"".join(stream.chunks()))
    assert told[-1] == "[DONE]"
    text = "".join(
        choice["delta"].get("content") or "" for event in told[:-1] for choice in json.loads(event)["choices"]
    )
    expected = complete(mock.port, {**SLOW_STREAM, "model": "instant", "stream": False})
    assert text == expected.json()["choices"][0]["message"]["content"]
    # A kept-alive connection that asks for nothing does not hold the process.
    assert gateway.wait() == 0
    assert idle.until_closed() == b""


def test_a_drain_has_an_end(launch, mock):
    gateway = launch(configuration.mock_provider(mock.port), server=('timeouts = { drain = "500ms" }',))
    endless = chat("mock/instant", f"go on {directive(hang_after=2)}", stream=True)
    with Connection(gateway.port) as connection:
        body = json.dumps(endless).encode()
        connection.send(head("POST", "/v1/chat/completions", gateway.port, body, None) + body)
        connection.response_head()
        gateway.signal(signal.SIGTERM)
        gateway.wait(SETTLE_SECONDS_MAX)


def test_ten_starts_on_one_port_do_not_hinder_each_other(tmp_path, mock):
    port = free_port()
    for number in range(10):
        folder = tmp_path / str(number)
        text = configuration.gateway(folder / "data", configuration.mock_provider(mock.port), port=port)
        with processes.start_gateway(folder, text):
            assert complete(port, chat("mock/instant")).status == 200


# Change


class Load:
    """Callers who never stop asking; `failures` holds whatever was not a whole answer."""

    def __init__(self, port: int, callers: int = 4):
        self.port = port
        self.answers = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        body = chat(
            "steady", f"caller {number} {directive(tokens=5, between_tokens='1ms')}", stream=number % 2 == 0
        )
        with Connection(self.port) as connection:
            while not self._stop.is_set():
                try:
                    response = connection.post(body)
                except Closed as closed:
                    self.failures.append(str(closed))
                    return
                whole = response.status == 200 and (
                    not body["stream"] or events(response.body)[-1] == "[DONE]"
                )
                self.answers += 1
                if not whole:
                    self.failures.append(f"{response.status}: {response.body[:200]!r}")


def knows(gateway: Daemon, model: str) -> bool:
    return ask(gateway.port, "GET", f"/v1/models/{model}").status == 200


def test_a_changed_file_is_applied_and_no_request_fails(launch, mock):
    steady = configuration.alias("steady", ("mock/instant", 1))
    gateway = launch(configuration.mock_provider(mock.port), steady)
    original = configured(gateway)
    with Load(gateway.port) as load, begin_stream(gateway.port) as stream:
        for number in range(5):
            # Even the provider is defined anew: what is under way keeps the old one.
            changed = original + configuration.alias(f"new-{number}", ("mock/fast", 1))
            if number % 2:
                changed = changed.replace(f"http://127.0.0.1:{mock.port}", f"http://localhost:{mock.port}")
            write(gateway, changed)
            wait_until(f"new-{number} is known", lambda: knows(gateway, f"new-{number}"))
            wait_until(f"new-{number - 1} is gone", lambda: not knows(gateway, f"new-{number - 1}"))
        told = events(b"".join(stream.chunks()))
        assert told[-1] == "[DONE]", "a stream lives through it"
        enough = load.answers + 20
        wait_until("twenty more answers", lambda: load.answers >= enough or load.failures)
    assert load.failures == []


def test_the_file_is_read_again_on_sighup(launch, mock):
    gateway = launch(configuration.mock_provider(mock.port))
    write(gateway, configured(gateway) + configuration.alias("fresh", ("mock/fast", 1)))
    gateway.signal(signal.SIGHUP)
    wait_until("the new alias is known", lambda: knows(gateway, "fresh"))


BAD_FILES = {
    "no TOML": "[server\nlisten = ",
    "an unknown key": "[sever]\nlisten = '127.0.0.1:1'\n",
    "an alias to nowhere": configuration.alias("astray", ("no-such-provider/m", 1)),
    "a wrong type": "[server]\nbody_bytes_max = []\n",
    "empty of keys, but open to the world": '[server]\nlisten = "0.0.0.0:4000"\n',
    "random bytes": "\x00\x01\ufffd\x7f" * 100,
}


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_and_the_old_one_kept(launch, mock, bad):
    steady = configuration.alias("steady", ("mock/instant", 1))
    gateway = launch(configuration.mock_provider(mock.port), steady)
    good = configured(gateway)
    before = len(gateway.log())
    with Load(gateway.port) as load:
        write(gateway, bad)
        gateway.signal(signal.SIGHUP)
        wait_until("it is told", lambda: "tidegate.toml" in gateway.log()[before:])
        enough = load.answers + 20
        wait_until("twenty more answers", lambda: load.answers >= enough or load.failures)
        # And a good one after it is taken.
        write(gateway, good + configuration.alias("mended", ("mock/instant", 1)))
        wait_until("the mended file is read", lambda: knows(gateway, "mended"))
    assert load.failures == []


def test_what_guards_a_gateway_stays_while_it_runs(launch, mock):
    """Whether an editor has emptied the file, or somebody has taken out the keys alone."""
    key = processes.create_key()
    provider = configuration.mock_provider(mock.port)
    gateway = launch(provider, configuration.key_row(key))
    locked = configured(gateway)
    for open_again in ("", locked.replace(configuration.key_row(key), "")):
        before = len(gateway.log())
        write(gateway, open_again)
        gateway.signal(signal.SIGHUP)
        wait_until("it is refused", lambda: "would let everybody in" in gateway.log()[before:])
        assert ask(gateway.port, "GET", "/v1/models").status == 401
    write(gateway, locked + configuration.alias("fresh", ("mock/fast", 1)))
    bearer = {"authorization": f"Bearer {key['key']}"}
    wait_until("the rest is taken again", lambda: ask(gateway.port, "GET", "/v1/models/fresh", **bearer).status == 200)


def test_a_file_that_vanishes_changes_nothing(launch, mock):
    gateway = launch(configuration.mock_provider(mock.port))
    before = len(gateway.log())
    (gateway.folder / "tidegate.toml").unlink()
    gateway.signal(signal.SIGHUP)
    wait_until("it is refused", lambda: "cannot read" in gateway.log()[before:])
    for _ in range(5):
        assert complete(gateway.port, chat("mock/instant")).status == 200


def test_a_file_found_by_its_name_that_vanishes_changes_nothing(tmp_path, mock):
    (tmp_path / "tidegate.toml").write_text(configuration.gateway(tmp_path / "data", configuration.mock_provider(mock.port)))
    with processes.Daemon(["serve"], tmp_path, {}) as gateway:
        (tmp_path / "tidegate.toml").unlink()
        wait_until("it is told", lambda: "is gone" in gateway.log())
        assert complete(gateway.port, chat("mock/instant")).status == 200
        write(gateway, configuration.gateway(tmp_path / "data", configuration.alias("back", ("sim/instant", 1))))
        wait_until("the file that came back is read", lambda: knows(gateway, "back"))
