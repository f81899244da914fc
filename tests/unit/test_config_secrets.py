"""The worker's secrets."""

from pathlib import Path

import pytest

from connector.base.errors import ConfigError
from connector.base.secrets import Secret
from connector.config.load import load_text
from connector.config.model import Config
from connector.config.secrets import SECRET_NAMES, Credentials, exposed_files, read_credentials

LONG = "s" * 32
GOOD = {"LIVEKIT_API_KEY": "canary-id", "LIVEKIT_API_SECRET": LONG, "MILLIS_PRIVATE_KEY": "millis-key"}
EVENTS = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def _config(worker: str = "", millis: str = "") -> Config:
    text = f'livekit: {{url: "wss://a.b"}}\nmillis: {{url: "https://a.b", {millis}}}\nrooms: []\nworker: {{{worker}}}\n'
    return load_text(text, environ={}).config


def _problems(environ: dict[str, str], config: Config | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_credentials(config, environ)
    assert caught.value.exit_code == 78
    return caught.value.problems


def test_three_secrets_are_enough() -> None:
    """The optional ones are None when nothing asks for them."""
    expected = Credentials(Secret("canary-id"), Secret(LONG), Secret("millis-key"))
    assert read_credentials(_config(), GOOD) == expected


def test_everything_can_come_from_files(tmp_path: Path) -> None:
    """Each variable may end in `_FILE` and name a file; none of it shows in the credentials' text."""
    values = {
        **GOOD,
        "LIVEKIT_API_KEY_2": "key2",
        "LIVEKIT_API_SECRET_2": "t" * 32,
        "REDIS_URL": "rediss://:canary-pw@host/0",
        "CONNECTOR_EVENTS_SECRET": EVENTS,
    }
    environ = {}
    for name, value in values.items():
        (tmp_path / name).write_text(value + "\n")
        environ[f"{name}_FILE"] = str(tmp_path / name)
    credentials = read_credentials(_config(), environ)
    assert set(values) == set(SECRET_NAMES)
    assert credentials == Credentials(
        livekit_api_key=Secret("canary-id"),
        livekit_api_secret=Secret(LONG),
        millis_private_key=Secret("millis-key"),
        livekit_api_key_2=Secret("key2"),
        livekit_api_secret_2=Secret("t" * 32),
        redis_url=Secret(values["REDIS_URL"]),
        events_secret=Secret(EVENTS),
    )
    assert not any(value in repr(credentials) for value in values.values())


def test_all_that_is_missing_is_reported_at_once() -> None:
    """One line each, with what it is and both ways to give it."""
    config = _config(worker='claims: redis, events: {url: "https://a.b/hook"}')
    problems = _problems({}, config)
    names = ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "MILLIS_PRIVATE_KEY", "REDIS_URL", "CONNECTOR_EVENTS_SECRET"]
    assert len(problems) == len(names)
    for name, problem in zip(names, problems, strict=True):
        assert problem.startswith(f"{name} is not set")
        assert f"{name}_FILE" in problem


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"LIVEKIT_API_SECRET": "canary-short"}, "LIVEKIT_API_SECRET is 12 bytes long, LiveKit asks for at least 32:"),
        ({"LIVEKIT_API_SECRET": ""}, "LIVEKIT_API_SECRET is set but empty: give it a value or unset it"),
        ({"LIVEKIT_API_KEY_FILE": "/x"}, "LIVEKIT_API_KEY and LIVEKIT_API_KEY_FILE are both set: unset one of them"),
        ({"LIVEKIT_API_KEY_2": "k"}, "LIVEKIT_API_SECRET_2 is not set, but LIVEKIT_API_KEY_2 is: set both while keys"),
        ({"LIVEKIT_API_SECRET_2": LONG}, "LIVEKIT_API_KEY_2 is not set, but LIVEKIT_API_SECRET_2 is: set both while"),
        ({"MILLIS_PRIVATE_KEY": "Bearer canary-key"}, "MILLIS_PRIVATE_KEY begins with the word Bearer: set the key"),
        ({"REDIS_URL": "canary-host:6379"}, "REDIS_URL is not a Redis URL: begin it with redis://, rediss:// or unix"),
        ({"CONNECTOR_EVENTS_SECRET": "canary!"}, "CONNECTOR_EVENTS_SECRET is not a Standard Webhooks secret (whsec_"),
        ({"CONNECTOR_EVENTS_SECRET": "whsec_YQ=="}, "CONNECTOR_EVENTS_SECRET is not a Standard Webhooks secret"),
    ],
)
def test_an_unfit_secret_gets_one_line_that_does_not_show_it(change: dict[str, str], line: str) -> None:
    """The variable, what is wrong and the remedy; never the value."""
    (problem,) = _problems({**GOOD, **change})
    assert problem.startswith(line)
    assert "canary" not in problem


def test_a_turn_credential_is_tried(tmp_path: Path) -> None:
    """A file that cannot be read shows at start-up, under the key's own name, not in the first call."""
    file = tmp_path / "turn"
    servers = f'ice_servers: [{{urls: "turn:a", username: u, credential_file: "{file}"}}]'
    (problem,) = _problems(GOOD, _config(millis=servers))
    assert problem == f"millis.ice_servers[0].credential_file: cannot read {file}: No such file or directory"
    file.write_text("credential")
    assert read_credentials(_config(millis=servers), GOOD).livekit_api_key == Secret("canary-id")


def test_the_process_environment_counts_when_nothing_else_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.environ` is read."""
    for name in SECRET_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert read_credentials().millis_private_key == Secret("millis-key")


def test_files_that_everybody_may_read_are_named(tmp_path: Path) -> None:
    """They are a warning, by the name of the variable."""
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(0o644)
    assert exposed_files({"MILLIS_PRIVATE_KEY_FILE": str(file), **GOOD}) == ("MILLIS_PRIVATE_KEY_FILE",)
    file.chmod(0o440)
    assert exposed_files({"MILLIS_PRIVATE_KEY_FILE": str(file)}) == ()
