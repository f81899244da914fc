"""rooms.yaml changed under a watch, in every way that files are changed."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connector.config.digest import config_hash
from connector.config.load import MAX_BYTES, load, load_text
from connector.config.model import Config
from connector.control.observer import Observer
from connector.control.reload import ConfigWatch
from tests.until import until

FILE = """
livekit: {{url: "wss://a.b"}}
millis: {{url: "https://a.b"}}
worker: {{listen: "0.0.0.0:8080"}}
rooms: [{{room: "lobby", agent: "{agent}"}}]
"""
OLD, NEW = FILE.format(agent="old"), FILE.format(agent="new")


def config(text: str) -> Config:
    return load_text(text, environ={}).config


class Heard(Observer):
    """Keeps what a watch reports."""

    def __init__(self) -> None:
        self.configs: list[Config] = []
        self.reloads: list[tuple[bool, str]] = []

    def reloaded(self, *, ok: bool, config_hash: str) -> None:
        self.reloads.append((ok, config_hash))


def watched(path: Path, heard: Heard, *, environ: dict[str, str] | None = None, every_s: float = 60.0) -> ConfigWatch:
    environ = environ or {}
    return ConfigWatch(path, load(path, environ), heard.configs.append, heard, environ=environ, every_s=every_s)


def lines(watch: ConfigWatch) -> tuple[str, ...]:
    return watch.lines


async def looks(watch: ConfigWatch, count: int = 2) -> None:
    for _ in range(count):
        await watch.look()


def overwrite(path: Path, text: str) -> None:
    path.write_text(text)


def rename(path: Path, text: str) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text(text)
    fresh.replace(path)


def recreate(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def same_size_and_time(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [overwrite, rename, recreate, same_size_and_time])
async def test_however_a_file_is_changed_the_change_is_taken(
    tmp_path: Path, change: Callable[[Path, str], None]
) -> None:
    """The second look that sees it brings it into force, once."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard)
    await looks(watch, 3)
    change(path, NEW)
    await looks(watch, 1)
    assert heard.configs == []
    with capture_logs() as logs:
        await looks(watch, 3)
    assert heard.configs == [config(NEW)] == [watch.config]
    assert heard.reloads == [(True, config_hash(config(NEW)))]
    assert [(entry["event"], entry["next_session"]) for entry in logs] == [("reloaded", ("lobby.agent",))]
    assert lines(watch) == ()


async def test_a_mounted_config_map_is_followed(tmp_path: Path) -> None:
    """The kubelet swaps the symlink `..data`; the path and its own symlink stay as they are."""
    heard = Heard()
    for version, text in (("1", OLD), ("2", NEW)):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "rooms.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "rooms.yaml").symlink_to("..data/rooms.yaml")
    watch = watched(tmp_path / "rooms.yaml", heard)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    await looks(watch)
    assert heard.configs == [config(NEW)]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_text(NEW[: len(NEW) // 2]), "rooms.yaml:"),
        (lambda path: path.write_text(""), "rooms.yaml"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not UTF-8"),
        (lambda path: path.write_text("# " + "x" * MAX_BYTES), "is larger than 1 MiB"),
        (lambda path: path.unlink(), "is not there"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "cannot be read"),
        (lambda path: path.write_text(NEW.replace("agent", "agnet")), "did you mean agent?"),
    ],
)
async def test_a_bad_file_keeps_the_old_one(tmp_path: Path, spoil: Callable[[Path], object], says: str) -> None:
    """It is logged and counted once, however long it stays, and stands in the text of /readyz until it is mended."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard)
    spoil(path)
    with capture_logs() as logs:
        await looks(watch, 6)
    assert {entry["event"] for entry in logs} == {"reload_failed"}
    assert any(says in entry["problem"] for entry in logs)
    assert len({entry["problem"] for entry in logs}) == len(logs)
    assert heard.reloads == [(False, config_hash(config(OLD)))]
    assert (heard.configs, watch.config) == ([], config(OLD))
    assert watch.problem is not None
    assert "is not in force" in watch.problem
    assert lines(watch) == (watch.problem,)
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.write_text(OLD)
    await looks(watch)
    assert (heard.configs, heard.reloads[1:], lines(watch)) == ([], [(True, config_hash(config(OLD)))], ())


async def test_every_problem_has_a_line(tmp_path: Path) -> None:
    """The log names all of them, the text of /readyz the first and how many more; another bad file is told anew."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard)
    path.write_text(NEW.replace("agent", "agnet").replace("8080", "http"))
    with capture_logs() as logs:
        await looks(watch)
    assert len(logs) >= 2
    assert watch.problem is not None
    assert watch.problem.endswith(f"(and {len(logs) - 1} more, see the log)")
    path.write_text("[]")
    await looks(watch)
    assert "mapping" in watch.problem
    assert [ok for ok, _ in heard.reloads] == [False, False]


async def test_a_file_that_is_being_written_is_not_judged(tmp_path: Path) -> None:
    """Half a file that is whole at the next look causes no complaint."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard)
    for length in (10, 40, 80, len(NEW)):
        path.write_text(NEW[:length])
        await watch.look()
    await watch.look()
    assert heard.reloads == [(True, config_hash(config(NEW)))]


async def test_what_needs_a_restart_is_named_and_not_applied(tmp_path: Path) -> None:
    """`worker:` and URLs stay as they were; one warning names the keys, and /readyz until they are taken back."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard)
    with capture_logs() as logs:
        path.write_text(OLD.replace("8080", "8081").replace("wss://a.b", "wss://c.d"))
        await looks(watch)
        path.write_text(NEW.replace("8080", "8081").replace("wss://a.b", "wss://c.d"))
        await looks(watch)
    assert [entry["keys"] for entry in logs if entry["event"] == "restart_needed"] == [("livekit.url", "worker.listen")]
    assert lines(watch) == (f"restart the worker for what changed in {path}: livekit.url, worker.listen",)
    assert heard.configs == [config(NEW)]
    path.write_text(NEW)
    await looks(watch)
    assert lines(watch) == ()
    assert heard.configs == [config(NEW)]


async def test_the_environment_still_overrides(tmp_path: Path) -> None:
    """A reload is read with the same variables as the start, so an overridden key needs no restart."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = watched(path, heard, environ={"CONNECTOR_LISTEN": "127.0.0.1:9999"})
    path.write_text(NEW.replace("8080", "8081"))
    await looks(watch)
    assert lines(watch) == ()
    assert heard.configs[0].worker.listen == "127.0.0.1:9999"


async def test_a_running_watch_takes_a_change_within_two_seconds(tmp_path: Path) -> None:
    """Left alone it looks often enough; it ends when it is cancelled."""
    path, heard = tmp_path / "rooms.yaml", Heard()
    path.write_text(OLD)
    watch = ConfigWatch(path, load(path, {}), heard.configs.append, heard, environ={})
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    start = time.monotonic()
    path.write_text(NEW)
    await until(lambda: heard.configs == [config(NEW)])
    assert time.monotonic() - start < 2.0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
