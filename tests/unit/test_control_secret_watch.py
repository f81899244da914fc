"""Secrets rotated under a watch."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connector.base.redact import redact
from connector.base.secrets import Secret
from connector.config.load import load_text
from connector.config.secrets import Credentials, read_credentials
from connector.control.secret_watch import SecretWatch
from tests.until import until

CONFIG = load_text('livekit: {url: "wss://a.b"}\nmillis: {url: "https://a.b"}\nrooms: []\n', environ={}).config
OLD, NEW = "old-canary" * 4, "new-canary" * 4


class Rotation:
    """The files of three secrets, and a watch on them."""

    def __init__(self, folder: Path, *, every_s: float = 60.0) -> None:
        self.folder = folder
        self.told: list[Credentials] = []
        self.environ: dict[str, str] = {}
        self.write(LIVEKIT_API_KEY="key-one", LIVEKIT_API_SECRET=OLD, MILLIS_PRIVATE_KEY="millis-one")
        self.first = read_credentials(CONFIG, self.environ)
        self.every_s = every_s

    def write(self, **values: str) -> None:
        for name, value in values.items():
            (self.folder / name).write_text(value)
            self.environ[f"{name}_FILE"] = str(self.folder / name)

    def watch(self) -> SecretWatch:
        return SecretWatch(CONFIG, self.first, self.told.append, environ=self.environ, every_s=self.every_s)


def problem(watch: SecretWatch) -> str:
    return watch.problem or ""


async def looks(watch: SecretWatch, count: int = 2) -> None:
    for _ in range(count):
        await watch.look()


async def test_a_rotated_secret_is_told_once_it_has_come_to_rest(tmp_path: Path) -> None:
    """Key and secret that are written one after the other are taken together; old ones stay known to redaction."""
    rotation = Rotation(tmp_path)
    watch = rotation.watch()
    with capture_logs() as logs:
        await looks(watch, 3)
        rotation.write(LIVEKIT_API_KEY="key-two")
        await looks(watch, 1)
        rotation.write(LIVEKIT_API_SECRET=NEW)
        await looks(watch, 3)
    expected = replace(rotation.first, livekit_api_key=Secret("key-two"), livekit_api_secret=Secret(NEW))
    assert rotation.told == [expected] == [watch.credentials]
    assert [(entry["event"], entry["changed"]) for entry in logs] == [
        ("secrets_reloaded", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
    ]
    assert "canary" not in redact(f"{OLD} {NEW}")
    assert "canary" not in repr(logs)


async def test_both_pairs_are_known_while_keys_are_rotated(tmp_path: Path) -> None:
    """A second pair that appears is accepted beside the first, and swapping them changes which one signs."""
    rotation = Rotation(tmp_path)
    rotation.environ |= {f"{name}_FILE": str(tmp_path / name) for name in ("LIVEKIT_API_KEY_2", "LIVEKIT_API_SECRET_2")}
    rotation.write(LIVEKIT_API_KEY_2="key-two", LIVEKIT_API_SECRET_2=NEW)
    rotation.first = read_credentials(CONFIG, rotation.environ)
    watch = rotation.watch()
    await looks(watch)
    rotation.write(LIVEKIT_API_KEY="key-two", LIVEKIT_API_SECRET=NEW)
    rotation.write(LIVEKIT_API_KEY_2="key-one", LIVEKIT_API_SECRET_2=OLD)
    await looks(watch)
    (told,) = rotation.told
    assert (told.livekit_api_key, told.livekit_api_secret) == (Secret("key-two"), Secret(NEW))
    assert (told.livekit_api_key_2, told.livekit_api_secret_2) == (Secret("key-one"), Secret(OLD))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.write_text(""), "LIVEKIT_API_SECRET is set but empty"),
        (lambda file: file.write_text("short-canary"), "LIVEKIT_API_SECRET is 12 bytes long"),
        (lambda file: file.write_text("two-canary\nlines"), "LIVEKIT_API_SECRET contains control characters"),
        (lambda file: file.unlink(), "LIVEKIT_API_SECRET_FILE: cannot read"),
    ],
)
async def test_a_bad_secret_keeps_the_old_ones(tmp_path: Path, spoil: object, says: str) -> None:
    """It is logged once, shows in the text of /readyz, and never shows itself; mended, the text goes."""
    assert callable(spoil)
    rotation = Rotation(tmp_path)
    watch = rotation.watch()
    spoil(tmp_path / "LIVEKIT_API_SECRET")
    with capture_logs() as logs:
        await looks(watch, 5)
    assert [entry["event"] for entry in logs] == ["secrets_reload_failed"]
    assert says in logs[0]["problem"]
    assert says in problem(watch)
    assert "canary" not in repr(logs) + problem(watch)
    assert (rotation.told, watch.credentials) == ([], rotation.first)
    rotation.write(LIVEKIT_API_SECRET=OLD)
    await looks(watch)
    assert (rotation.told, problem(watch)) == ([], "")


async def test_a_change_since_the_start_is_not_missed(tmp_path: Path) -> None:
    """What changed between the reading at the start and the watch's first look is taken too."""
    rotation = Rotation(tmp_path)
    rotation.write(MILLIS_PRIVATE_KEY="millis-two")
    watch = rotation.watch()
    await looks(watch)
    assert [told.millis_private_key for told in rotation.told] == [Secret("millis-two")]


async def test_a_mounted_secret_is_followed_while_it_runs(tmp_path: Path) -> None:
    """A swap of the symlink `..data` changes all files at once."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    rotation = Rotation(tmp_path / "one", every_s=0.02)
    second = Rotation(tmp_path / "two")
    second.write(LIVEKIT_API_KEY="key-two", LIVEKIT_API_SECRET=NEW)
    (tmp_path / "..data").symlink_to("one")
    rotation.environ = {name: path.replace("/one/", "/..data/") for name, path in rotation.environ.items()}
    running = asyncio.create_task(rotation.watch().run())
    (tmp_path / "..data_tmp").symlink_to("two")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    await until(lambda: [told.livekit_api_key for told in rotation.told] == [Secret("key-two")])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_secrets_in_the_environment_need_no_watch() -> None:
    """They cannot change while the process lives."""
    environ = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": OLD, "MILLIS_PRIVATE_KEY": "m"}
    watch = SecretWatch(CONFIG, read_credentials(CONFIG, environ), print, environ=environ)
    await asyncio.wait_for(watch.run(), 1)
    assert watch.problem is None


async def test_a_file_that_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    """One line at the start names the variable; the file is used all the same."""
    rotation = Rotation(tmp_path)
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        (tmp_path / name).chmod(0o600)
    (tmp_path / "MILLIS_PRIVATE_KEY").chmod(0o644)
    with capture_logs() as logs:
        running = asyncio.create_task(rotation.watch().run())
        await until(lambda: bool(logs))
        running.cancel()
        await asyncio.wait({running})
    assert [(entry["event"], entry["variable"]) for entry in logs] == [
        ("secret_file_exposed", "MILLIS_PRIVATE_KEY_FILE")
    ]
