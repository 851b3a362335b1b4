"""The commands from outside: exit codes, what they print, and that they keep secrets."""

from __future__ import annotations

import json

import pytest
from support.processes import create_key, run
from support.secrets import PROVIDER_KEY, assert_no_secret
from support.waiting import wait_until

GOOD = f"""
[providers.mock]
preset = "openai-compatible"
base_url = "http://user:{PROVIDER_KEY}@127.0.0.1:9/v1"
api_key = "{PROVIDER_KEY}"
headers = {{ x-extra = "{PROVIDER_KEY}" }}
"""
PLAIN = GOOD.replace(f"user:{PROVIDER_KEY}@", "")


def write(folder, text: str):
    path = folder / "tidegate.toml"
    path.write_text(text)
    return path


def test_check_is_content_with_a_good_file(tmp_path):
    result = run("check", "--config", write(tmp_path, PLAIN))
    assert result.returncode == 0, result.stderr


BAD = {
    "a misspelt key": ("[sever]\n", "server"),
    "a misspelt key inside": ('[server]\nlistn = "127.0.0.1:1"\n', "listen"),
    "a wrong type": ("[server]\nlisten = 7\n", "listen"),
    "a bad size": ('[server]\nbody_bytes_max = "lots"\n', "body_bytes_max"),
    "an unknown preset": ('[providers.x]\npreset = "opnai"\n', "openai"),
    "an alias to nowhere": ('[models.a]\ntargets = [ { model = "nowhere/m" } ]\n', "nowhere"),
    "a syntax fault": (f'api_key = "{PROVIDER_KEY}\n', "tidegate.toml"),
    "a variable that is not set": (
        '[providers.openai]\napi_key = "${NO_SUCH_VARIABLE}"\n',
        "NO_SUCH_VARIABLE",
    ),
}


@pytest.mark.parametrize(("text", "mend"), BAD.values(), ids=BAD.keys())
def test_check_tells_the_place_and_the_mend(tmp_path, text, mend):
    result = run("check", "--config", write(tmp_path, text))
    assert result.returncode == 2
    assert mend in result.stdout + result.stderr
    assert_no_secret(result.stdout + result.stderr, "what check prints")


def test_a_data_folder_that_is_none_is_a_fault_and_one_that_cannot_be_written_a_warning(tmp_path):
    (tmp_path / "afile").write_text("")
    write(tmp_path, 'data = "afile"\n')
    for command in ("check", "serve"):
        refused = run(command, cwd=tmp_path)
        assert refused.returncode == 2 and "afile` is no folder" in refused.stderr, refused
    write(tmp_path, 'data = "/proc/tidegate"\n')
    said = run("check", "--json", cwd=tmp_path)
    (warning,) = (row for row in json.loads(said.stdout)["warnings"] if row["key"] == "data")
    assert said.returncode == 0 and "/proc/tidegate cannot be written" in warning["message"], said
    good = run("check", environment={"TIDEGATE__DATA": str(tmp_path / "yet/to/be")}, cwd=tmp_path)
    assert "cannot be written" not in good.stdout and not (tmp_path / "yet").exists(), good.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_check_tells_every_fault_at_once(tmp_path):
    path = write(tmp_path, '[server]\nlistn = "x"\nbody_bytes_max = "lots"\n[sever]\n')
    told = run("check", "--config", path)
    assert told.returncode == 2
    for name in ("listn", "body_bytes_max", "sever"):
        assert name in told.stdout + told.stderr


@pytest.mark.parametrize("text", [GOOD, PLAIN])
def test_a_configuration_is_printed_without_its_secrets(tmp_path, text):
    result = run("config", "print", "--config", write(tmp_path, text))
    assert_no_secret(result.stdout + result.stderr, "what config print prints")
    if text is PLAIN:
        assert result.returncode == 0, result.stderr
        assert "providers" in result.stdout and "redacted" in result.stdout


def test_the_schema_is_json():
    result = run("config", "schema")
    assert result.returncode == 0
    schema = json.loads(result.stdout)
    assert {"server", "admin", "keys", "providers", "models"} <= set(schema["properties"])


def test_keys_are_made_of_an_id_and_a_secret_and_never_twice():
    one, other = create_key(), create_key()
    assert one["key"].startswith(f"{one['id']}-") and len(one["id"]) == len("tg-") + 12
    assert one["key"] != other["key"] and one["id"] != other["id"]
    secret = one["key"].removeprefix(f"{one['id']}-")
    assert len(secret) >= 32 and secret not in one["hash"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_written_for_a_shell(shell):
    result = run("completions", shell)
    assert result.returncode == 0 and "tidegate" in result.stdout


def test_the_manual_page_is_one():
    result = run("man")
    assert result.returncode == 0 and ".TH" in result.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["bench", "run", "--help"], ["--version"]]
)
def test_help_is_help(arguments):
    result = run(*arguments)
    assert result.returncode == 0 and result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--config", "/no/such/file.toml"],
        ["keys", "create", "--models", "smart,"],
        ["keys", "create", "--requests-per-minute", "5000000000"],
        ["jobs", "list", "--state", "foo"],
        ["jobs", "purge", "--state", "done", "--older-than", "24"],
        ["alerts", "silence", "alertname=errors", "--duration", "1y"],
    ],
)
def test_wrong_usage_is_status_two(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and result.stderr


def test_an_admin_plane_is_named_as_one():
    refused = run("targets", "--admin", "foo")
    assert refused.returncode == 2 and "http://127.0.0.1:4001" in refused.stderr, refused.stderr


def test_a_file_that_is_named_is_read_and_no_note_says_otherwise(tmp_path):
    nowhere = tmp_path / "nope.toml"
    for arguments in (["--config", nowhere], ["--config", nowhere, "--admin", "http://127.0.0.1:1"]):
        refused = run("targets", *arguments)
        assert refused.returncode == 2 and "--admin URL" not in refused.stderr, refused.stderr


def test_of_several_well_known_files_the_first_is_read_and_the_others_are_told_of(tmp_path):
    write(tmp_path, PLAIN)
    (tmp_path / "tidegate.yaml").write_text("nonsense: 1\n")
    result = run("check", cwd=tmp_path)
    assert result.returncode == 0 and "tidegate.yaml is not read" in result.stdout, result.stdout
    assert "./tidegate.yaml" in run("serve", "--help").stdout


def test_the_first_call_is_told_with_a_key_where_one_is_needed(launch):
    for server, told in ((('keys = "required"',), True), ((), False)):
        gateway = launch(server=server)
        wait_until("the first call is told", lambda: "try: curl" in gateway.log())
        line = next(line for line in gateway.log().splitlines() if line.startswith("try: curl"))
        assert ("-H 'authorization: Bearer tg-" in line) == told, line
