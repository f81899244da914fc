"""Finding the livekit-server, and what its process says when it cannot be started."""

from pathlib import Path

import pytest

from connector.base.errors import UnavailableError
from connector.practice.livekit import VERSION, LiveKitServer, find_livekit_server


def program(path: Path, *, mode: int = 0o755, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    """A small program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_order_of_the_places(tmp_path: Path) -> None:
    """The named program wins over the one on PATH, and that one over the cache."""
    named = program(tmp_path / "named" / "my-livekit")
    on_path = program(tmp_path / "bin" / "livekit-server")
    cached = program(tmp_path / "cache" / "room-connector" / "bin" / f"livekit-server-v{VERSION}")
    environ = {
        "LIVEKIT_SERVER": str(named),
        "PATH": str(on_path.parent),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    assert find_livekit_server(environ) == named
    del environ["LIVEKIT_SERVER"]
    assert find_livekit_server(environ) == on_path
    environ["PATH"] = str(tmp_path)
    assert find_livekit_server(environ) == cached


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_named_program_that_cannot_be_run(tmp_path: Path, mode: int | None) -> None:
    """A name that leads nowhere, or to no program, is an error of its own, whatever else is there."""
    path = tmp_path / "livekit-server"
    if mode is not None:
        program(path, mode=mode)
    with pytest.raises(UnavailableError, match="LIVEKIT_SERVER names"):
        find_livekit_server({"LIVEKIT_SERVER": str(path), "PATH": str(tmp_path)})


def test_none_at_all(tmp_path: Path) -> None:
    """Without any server the error says how to get one."""
    with pytest.raises(UnavailableError, match="make demo") as caught:
        find_livekit_server({"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    assert caught.value.exit_code == 69


async def test_a_server_that_ends_at_once(tmp_path: Path) -> None:
    """A program that ends instead of serving is told with the last line of its log, and leaves nothing."""
    text = "#!/bin/sh\necho first\necho 'could not parse config' >&2\nexit 3\n"
    server = LiveKitServer(program=program(tmp_path / "broken", text=text), log_path=tmp_path / "log")
    with pytest.raises(UnavailableError, match="ended with status 3: could not parse config"):
        await server.start()
    assert server.pid is None
    await server.stop()


async def test_a_port_that_was_taken_meanwhile(tmp_path: Path) -> None:
    """When somebody else takes the port first, other ports are tried, but not for ever."""
    text = f"#!/bin/sh\necho once >> {tmp_path}/tries\necho 'listen tcp: bind: address already in use'\nexit 1\n"
    server = LiveKitServer(program=program(tmp_path / "unlucky", text=text))
    with pytest.raises(UnavailableError, match="no free port in 3 tries"):
        await server.start()
    assert (tmp_path / "tries").read_text().split() == ["once"] * 3


async def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    """A file that is no program at all is told in one line."""
    server = LiveKitServer(program=program(tmp_path / "data", text="no program"), log_path=tmp_path / "log")
    with pytest.raises(UnavailableError, match="cannot start"):
        await server.start()
    assert server.pid is None
