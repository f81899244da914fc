"""An engine's secrets, while files change under it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connector.base.errors import ConfigError
from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.engine.secrets import EngineSecrets, SessionSecrets

OLD, NEW = "o" * 32, "n" * 32


def files(folder: Path, **values: str) -> dict[str, str]:
    for name, value in values.items():
        (folder / name).write_text(value)
    return {f"{name}_FILE": str(folder / name) for name in values}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return files(tmp_path, LIVEKIT_API_KEY="key-one", LIVEKIT_API_SECRET=OLD, MILLIS_PRIVATE_KEY="millis-one")


def test_a_rotated_file_counts_at_the_next_read(tmp_path: Path, environ: dict[str, str]) -> None:
    """Each session reads anew; what was good before stays cut out of every message."""
    secrets = EngineSecrets(environ)
    assert secrets.read() == SessionSecrets(Secret("key-one"), Secret(OLD), Secret("millis-one"))
    files(tmp_path, LIVEKIT_API_KEY="key-two", LIVEKIT_API_SECRET=NEW, MILLIS_PRIVATE_KEY="millis-two")
    assert secrets.read() == SessionSecrets(Secret("key-two"), Secret(NEW), Secret("millis-two"))
    assert redact(f"{OLD} {NEW} millis-one millis-two") == " ".join(["[redacted]"] * 4)


def test_a_bad_file_keeps_all_of_the_old_ones(tmp_path: Path, environ: dict[str, str]) -> None:
    """A key is never used with the secret of another; the fault is logged once, and again when it is another one."""
    secrets = EngineSecrets(environ)
    old = secrets.read()
    with capture_logs() as logs:
        files(tmp_path, LIVEKIT_API_KEY="key-two", LIVEKIT_API_SECRET="too short")
        assert [secrets.read(), secrets.read()] == [old, old]
        (tmp_path / "LIVEKIT_API_SECRET").unlink()
        assert secrets.read() == old
    assert [entry["event"] for entry in logs] == ["secrets_reload_failed"] * 2
    assert "9 bytes" in logs[0]["problem"]
    assert "cannot read" in logs[1]["problem"]
    files(tmp_path, LIVEKIT_API_SECRET=NEW)
    assert secrets.read() == SessionSecrets(Secret("key-two"), Secret(NEW), Secret("millis-one"))


def test_without_any_good_ones_every_problem_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    """What never was there cannot be kept."""
    del environ["LIVEKIT_API_KEY_FILE"]
    files(tmp_path, MILLIS_PRIVATE_KEY="Bearer millis-one")
    with pytest.raises(ConfigError) as caught:
        EngineSecrets(environ).read()
    assert [problem.split()[0] for problem in caught.value.problems] == ["LIVEKIT_API_KEY", "MILLIS_PRIVATE_KEY"]


def test_the_second_pair_is_never_used_for_tokens(environ: dict[str, str]) -> None:
    """`…_2` is for the verification of what others sign; sessions join with the first pair."""
    secrets = EngineSecrets({**environ, "LIVEKIT_API_KEY_2": "key-two", "LIVEKIT_API_SECRET_2": NEW})
    assert secrets.read().livekit_api_key == Secret("key-one")
    assert secrets.read().livekit_api_secret == Secret(OLD)
