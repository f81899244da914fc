"""A real redis-server on loopback for a test: started, stopped, frozen, cut off, and ended by its pid."""

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis

from connector.base.secrets import Secret

_READY_S = 10.0


class RedisServer:
    """One redis-server process, as an async context manager. The port stays the same over `kill` and `start`.

    Args:
        settings: Further lines of its configuration, such as ``requirepass x``.
        arguments: Further arguments, such as ``--sentinel``.
        plain: Whether it listens on a plain TCP port.
    """

    def __init__(self, *settings: str, arguments: tuple[str, ...] = (), plain: bool = True) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise AssertionError(
                "redis-server was not found, and these tests need it; on Debian: apt-get install redis-server"
            )
        self._program = program
        self._settings = settings
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="room-connector-redis-")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._plain = plain

    @property
    def url(self) -> Secret:
        """Its URL, without a password."""
        return Secret(f"redis://127.0.0.1:{self.port}/0")

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / "redis.sock"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        self._folder.cleanup()

    async def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        process = self._process = self._spawn()
        async with asyncio.timeout(_READY_S):
            while not self._listens():
                assert process.poll() is None, (self.folder / "redis.log").read_text()
                await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """End it by SIGKILL; what it held is lost."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)

    def freeze(self) -> None:
        """It stops in the middle of everything: connections stay open, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def do(self, *command: str | bytes) -> Any:
        """Send it one command, as an administrator would."""
        async with Redis(unix_socket_path=str(self.socket)) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def keys(self, pattern: str = "*") -> dict[str, str]:
        """The texts of all keys that match, without the prefix that an installation has."""
        found = {}
        for key in await self.do("KEYS", pattern):
            value = await self.do("GET", key)
            found[key.decode().split(":", 2)[2]] = value.decode()
        return found

    def _spawn(self) -> subprocess.Popen[bytes]:
        config = self.folder / "redis.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port if self._plain else 0}",
            f"unixsocket {self.socket}",
            f"dir {self.folder}",
            'save ""',
            "appendonly no",
            f"logfile {self.folder / 'redis.log'}",
            *self._settings,
        ]
        config.write_text("\n".join(lines) + "\n")
        return subprocess.Popen([self._program, str(config), *self._arguments], stdout=subprocess.DEVNULL)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return True
        return False


class Wire:
    """A way to the server that can be cut: packets then vanish without a word, in both directions.

    Args:
        port: The server's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> Secret:
        """The server, by this way."""
        assert self._server is not None
        return Secret(f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0")

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def mend(self) -> None:
        """What waited passes, and all that follows."""
        self._whole.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._pass(reader, to_writer), self._pass(to_reader, writer))
        except (OSError, asyncio.CancelledError):
            return  # cancelled by us alone, at the end of the test
        finally:
            writer.close()
            to_writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
