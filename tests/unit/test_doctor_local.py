"""The checks that need no network."""

from collections.abc import Callable
from pathlib import Path

import pytest

from connector.base.errors import UnavailableError
from connector.doctor import local
from connector.doctor.finding import Verdict
from connector.millis import seams as millis_seams
from connector.room import seams as room_seams

GOOD = 'livekit: {url: "ws://127.0.0.1"}\nmillis: {url: "http://127.0.0.1"}\nrooms: [{room: a, agent: b}]\n'
KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32, "MILLIS_PRIVATE_KEY": "millis-key"}


def written(folder: Path, text: str) -> Path:
    path = folder / "rooms.yaml"
    path.write_text(text)
    return path


def test_a_good_file_and_what_it_hardly_means(tmp_path: Path) -> None:
    """A valid file is fine; a rule that never decides is a warning beside it."""
    text = GOOD.replace("rooms: [", 'rooms: [{room: "*", agent: c}, ')
    loaded, found = local.look_at_rooms(written(tmp_path, text), {})
    assert loaded is not None
    assert [f.verdict for f in found] == [Verdict.OK, Verdict.WARNING]
    assert found[0].text.endswith("rooms.yaml is valid, with 2 rules")
    assert "never decides" in found[1].text


def test_every_mistake_of_a_file_is_a_line(tmp_path: Path) -> None:
    """Each with its place, all with the exit code of a bad configuration."""
    text = GOOD.replace("agent:", "agnet:").replace("ws:", "ftp:")
    loaded, found = local.look_at_rooms(written(tmp_path, text), {})
    assert loaded is None
    assert {(f.verdict, f.exit_code) for f in found} == {(Verdict.FAILED, 78)}
    assert "rooms.yaml:1:16 livekit.url" in found[0].text


def test_secrets_that_are_missing_or_unfit_are_all_named(tmp_path: Path) -> None:
    """One line for each; none shows what it is about."""
    credentials, found = local.look_at_secrets(None, {"LIVEKIT_API_SECRET": "canary-too-short"})
    assert credentials is None
    assert [f.text.split(" ")[0] for f in found] == ["LIVEKIT_API_KEY", "MILLIS_PRIVATE_KEY", "LIVEKIT_API_SECRET"]
    assert "canary" not in str(found)


def test_a_file_that_everybody_may_read_is_a_warning(tmp_path: Path) -> None:
    """It works, and the line says how to close it."""
    file = tmp_path / "key"
    file.write_text("millis-key")
    file.chmod(0o604)
    environ = {**KEYS, "MILLIS_PRIVATE_KEY_FILE": str(file)}
    del environ["MILLIS_PRIVATE_KEY"]
    credentials, found = local.look_at_secrets(None, environ)
    assert credentials is not None
    assert [f.verdict for f in found] == [Verdict.OK, Verdict.WARNING]
    assert "MILLIS_PRIVATE_KEY_FILE" in found[1].text
    file.chmod(0o600)
    assert [f.verdict for f in local.look_at_secrets(None, environ)[1]] == [Verdict.OK]


async def test_the_libraries_of_this_machine_fit() -> None:
    """The one of PyAV works, and every seam of both libraries is where it was."""
    (opus,) = await local.look_at_libopus()
    assert opus.text.startswith("libopus 1")
    assert [f.verdict for f in await local.look_at_livekit_library()] == [Verdict.OK]
    assert [f.verdict for f in await local.look_at_webrtc_library()] == [Verdict.OK]


async def test_a_seam_that_fell_back_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the start-up check says is shown, line by line; a fatal one is raised."""
    fallbacks: Callable[[], tuple[str, ...]] = lambda: ("tap: gone; hearing through rtc.AudioStream",)  # noqa: E731
    monkeypatch.setattr(room_seams, "check_seams", fallbacks)
    (finding,) = await local.look_at_livekit_library()
    assert (finding.verdict, finding.text) == (Verdict.WARNING, "tap: gone; hearing through rtc.AudioStream")

    def fatal() -> tuple[str, ...]:
        raise UnavailableError("the WebRTC library does not fit")

    monkeypatch.setattr(millis_seams, "check_seams", fatal)
    with pytest.raises(UnavailableError):
        await local.look_at_webrtc_library()
