"""The two listeners: paths, methods, hosts, origins, and who may see what."""

from __future__ import annotations

import pytest
from support import configuration, processes
from support.processes import create_key, free_port
from support.raw import Connection, ask, chat, complete
from support.secrets import ADMIN_KEY, add_canary

pytestmark = pytest.mark.usefixtures("still_well")


def test_head_of_the_root_is_answered(gateway):
    with Connection(gateway.port) as connection:
        assert connection.request("HEAD", "/").status == 200
        assert connection.request("GET", "/health").status == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_is_told_without_a_key(gateway, path):
    assert ask(gateway.port, "GET", path).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1/nope",
        "/v2/chat/completions",
        "/v1/chat/completions/x",
        "/v1/chat/../models",
        "/%00",
        "/é",
    ],
)
def test_an_unknown_path_is_not_found(gateway, path):
    response = ask(gateway.port, "POST", path, b"{}")
    assert response.status in (400, 404)
    if response.status == 404:
        assert response.error()["type"] == "not_found_error"


@pytest.mark.parametrize("path", ["/metrics", "/admin/config", "/admin/performance", "/admin/keys"])
def test_the_data_plane_knows_nothing_of_the_admin_plane(gateway, path):
    assert ask(gateway.port, "GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", {"POST"}),
        ("PUT", "/v1/chat/completions", {"POST"}),
        ("DELETE", "/openai/v1/embeddings", {"POST"}),
        ("PATCH", "/completions", {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("DELETE", "/v1/models/mock/instant", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("TRACE", "/v1/models", {"GET", "HEAD"}),
        ("BREW", "/v1/models", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_one(gateway, method, path, allowed):
    response = ask(gateway.port, method, path, b"{}")
    assert response.status == 405
    assert response.error()["type"] == "invalid_request_error"
    told = {name.strip() for name in response.header("allow").split(",")}
    assert told and told <= allowed | {"OPTIONS"}


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
def test_a_path_is_matched_under_every_prefix_and_without_its_query(gateway, prefix):
    assert ask(gateway.port, "GET", f"{prefix}/models?limit=3&x=%2F").status == 200
    assert complete(gateway.port, chat("smart"), f"{prefix}/chat/completions?api-version=1").status == 200


@pytest.mark.parametrize("name", ["mock/instant", "mock%2Finstant", "mock%2finstant", "smart"])
def test_a_model_s_slash_may_be_plain_or_encoded(gateway, name):
    response = ask(gateway.port, "GET", f"/v1/models/{name}")
    assert response.status == 200
    assert response.json()["id"] in ("mock/instant", "smart")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_foreign_host_is_refused(gateway, host):
    response = ask(gateway.port, "GET", "/v1/models", host=host.format(port=gateway.port))
    assert response.status == 403
    assert response.error()


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:{port}", "127.0.0.1:{port}", "127.0.0.1", "[::1]:{port}"]
)
def test_a_loopback_host_is_let_in(gateway, host):
    assert ask(gateway.port, "GET", "/v1/models", host=host.format(port=gateway.port)).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost.evil.example", "null", "file://"]
)
def test_a_page_from_elsewhere_is_refused(gateway, origin):
    assert complete(gateway.port, chat("smart"), origin=origin).status == 403


@pytest.mark.parametrize("name", ["x" * 500, "with space", "a\tb"])
def test_an_odd_request_id_is_replaced(gateway, name):
    given = ask(gateway.port, "GET", "/v1/models", **{"x-request-id": name}).header("x-request-id")
    assert given and given != name


def test_the_metrics_count_what_was_asked(launch, mock):
    gateway = launch(configuration.mock_provider(mock.port))
    for _ in range(3):
        assert complete(gateway.port, chat("mock/instant")).status == 200
    assert complete(gateway.port, chat("no-such/secret-project-name")).status == 404
    response = ask(gateway.admin_port, "GET", "/metrics")
    assert response.status == 200
    text = response.body.decode()
    assert "tidegate_" in text and "mock" in text
    # Labels come from the configuration, never from a caller.
    assert "secret-project-name" not in text


def test_the_admin_plane_has_a_key_of_its_own(launch, mock):
    key = create_key()
    add_canary(key["key"])
    parts = [configuration.key_row(key), configuration.mock_provider(mock.port)]
    gateway = launch(*parts, TIDEGATE_ADMIN_KEY=ADMIN_KEY)

    def metrics(**headers: str) -> int:
        return ask(gateway.admin_port, "GET", "/metrics", **headers).status

    assert metrics() == 401
    assert metrics(authorization=f"Bearer {key['key']}") == 401
    assert metrics(authorization=f"Bearer {ADMIN_KEY[:-1]}") == 401
    assert metrics(authorization=f"Bearer {ADMIN_KEY}") == 200
    # Nor does the admin key open the data plane.
    assert complete(gateway.port, chat("mock/instant"), authorization=f"Bearer {ADMIN_KEY}").status == 401
    assert complete(gateway.port, chat("mock/instant"), authorization=f"Bearer {key['key']}").status == 200


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/models/x/y"]
)
def test_every_path_of_the_data_plane_asks_for_the_key(launch, mock, path):
    key = create_key()
    gateway = launch(configuration.key_row(key), configuration.mock_provider(mock.port))
    method = "GET" if "models" in path else "POST"
    for value in ("", "Bearer", "Bearer ", "Basic dTpw", f"Bearer {key['id']}", f"Token {key['key']}"):
        response = ask(gateway.port, method, path, b"{}", authorization=value)
        assert response.status == 401, value
        assert response.error()["type"] == "authentication_error"


def test_a_listener_beyond_loopback_without_keys_is_refused(tmp_path):
    path = tmp_path / "tidegate.toml"
    path.write_text(f'[server]\nlisten = "0.0.0.0:{free_port()}"\n')
    result = processes.run("serve", "--config", path)
    assert result.returncode == 2
    assert "key" in result.stderr


REFUSED = {
    "a path there is not": ("GET", "/admin/nope", None, {}, 404, "unknown_url", "/admin/nope"),
    "a path that cannot be read": ("GET", "/admin/requests/%ff", None, {}, 404, "unknown_url", "%ff"),
    "a word of no command": ("POST", "/admin/workflows/runs/run-1/nope", None, {}, 404, "unknown_url", "nope"),
    "a method there is not": ("PUT", "/admin/breakers/reset", b"{}", {}, 405, None, "PUT"),
    "a method health has not": ("POST", "/health", b"", {}, 405, None, "POST"),
    "a body of no type": ("POST", "/admin/breakers/reset", b"{}", {}, 415, None, "application/json"),
    "a body that is no JSON": ("POST", "/admin/breakers/reset", b"{", "json", 400, None, "not valid JSON: EOF"),
    "a member missing": ("POST", "/admin/alerts/silences", b"{}", "json", 400, None, "missing field `matchers`"),
    "an unknown member": ("POST", "/admin/keys", b'{"modles": []}', "json", 400, None, "modles"),
    "a body too large": ("POST", "/admin/breakers/reset", b" " * (2097152 + 1), "json", 413, None, "2097152"),
    "an unknown query": ("GET", "/admin/requests?nope=1", None, {}, 400, None, "unknown field `nope`"),
    "a query of another type": ("GET", "/admin/system?minutes=x", None, {}, 400, None, "minutes"),
    "no state of jobs": ("GET", "/admin/jobs?state=foo", None, {}, 400, None, "scheduled, ready"),
}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code", "part"), REFUSED.values(), ids=REFUSED.keys()
)
def test_the_admin_plane_refuses_in_one_voice(gateway, method, path, body, headers, status, code, part):
    headers = {"content_type": "application/json"} if headers == "json" else headers
    response = ask(gateway.admin_port, method, path, body, **headers)
    error = response.error()
    assert (response.status, error["code"]) == (status, code), error
    assert error["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert part in error["message"], error
    for word in ("deserialize", "buffer", "target type", "Expected request"):
        assert word not in error["message"]
    assert (response.header("allow") is not None) == (status == 405)


def test_a_foreign_host_is_told_the_setting_of_its_plane(gateway):
    for port, setting in ((gateway.port, "'server.hosts'"), (gateway.admin_port, "'admin.hosts'")):
        refused = ask(port, "GET", "/v1/models" if port == gateway.port else "/metrics", host="evil.example")
        assert refused.status == 403 and setting in refused.error()["message"]
