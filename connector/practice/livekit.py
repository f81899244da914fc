"""A real livekit-server on this machine, for the demo and the tests: found, started on loopback, ended by its pid.

In: nothing but the program. Out: `url`, `api_key`, `api_secret`. The server listens on 127.0.0.1 only, media included.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp

from connector.base.errors import UnavailableError
from connector.base.redact import redact
from connector.base.secrets import Secret

VERSION = "1.13.5"
"""The livekit-server that the project is tested with."""

_HOST = "127.0.0.1"
_READY_S = 15.0
_PORT_TRIES = 3
_TERMS = 10
_KILL_S = 5.0
_POLL_S = 0.02
_PORT_TAKEN = "address already in use"


def find_livekit_server(environ: Mapping[str, str] | None = None) -> Path:
    """Find the livekit-server program.

    Looked for in this order: the file that ``LIVEKIT_SERVER`` names, ``livekit-server`` on PATH, and the cache
    ``${XDG_CACHE_HOME:-~/.cache}/room-connector/bin/livekit-server-v<VERSION>`` that ``make`` fills.

    Args:
        environ: Stands in for `os.environ`.

    Returns:
        The path of an executable file.

    Raises:
        UnavailableError: There is none, or ``LIVEKIT_SERVER`` names something that cannot be run.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("LIVEKIT_SERVER")
    if named:
        if _runnable(Path(named)):
            return Path(named)
        raise UnavailableError(f"LIVEKIT_SERVER names {redact(named)}, which is not a program that can be run")
    on_path = shutil.which("livekit-server", path=environ.get("PATH"))
    if on_path is not None:
        return Path(on_path)
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "room-connector" / "bin" / f"livekit-server-v{VERSION}"
    if _runnable(cached):
        return cached
    raise UnavailableError(
        "livekit-server was not found: put it on PATH, name it in LIVEKIT_SERVER, or run `make demo` with Go 1.26"
    )


class LiveKitServer:
    """One livekit-server process, as an async context manager or by `start` and `stop`.

    The ports stay the same over `stop` and `start`, so that a client sees a restart.

    Attributes:
        url: ``ws://127.0.0.1:<port>``, known after the first start.
        api_key: The one key the server knows.
        api_secret: Its secret, of 43 random characters.
    """

    def __init__(
        self,
        *,
        log_path: Path | None = None,
        webhook_urls: Sequence[str] = (),
        options: Mapping[str, object] | None = None,
        program: Path | None = None,
    ) -> None:
        """Prepare a server; nothing is started yet.

        Args:
            log_path: The log file, appended to; by default one that goes away with the server.
            webhook_urls: Where the server sends its webhooks.
            options: Further top-level keys of the server's configuration; they win over ours.
            program: The server program; by default `find_livekit_server()`.
        """
        self.api_key = "practicekey"
        self.api_secret = Secret(secrets.token_urlsafe(32))
        self.url = ""
        self._program = program
        self._webhook_urls = list(webhook_urls)
        self._options = dict(options or {})
        self._log_path = log_path
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._ports: tuple[int, int] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def http_url(self) -> str:
        """The same address for HTTP calls."""
        return self.url.replace("ws://", "http://", 1)

    @property
    def log_path(self) -> Path:
        """Where the server's output goes, while it runs."""
        if self._log_path is not None:
            return self._log_path
        assert self._directory is not None, "the server was not started"
        return Path(self._directory.name) / "livekit-server.log"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs: started, not stopped, and not ended by itself."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            UnavailableError: It is missing, ends at once, or does not answer within 15 s; the log's end says why.
        """
        if self._process is not None:
            return
        if self._ports is not None:
            await self._start_on(self._ports)
            return
        for _ in range(_PORT_TRIES):
            with contextlib.suppress(_PortTakenError):
                await self._start_on((_free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)))
                return
        raise UnavailableError(f"livekit-server found no free port in {_PORT_TRIES} tries")

    async def stop(self) -> None:
        """End the server; safe to call again.

        One SIGTERM lets it drain for as long as somebody is connected, the next one ends it. They are repeated,
        because two that come close together may be one to a busy process. SIGKILL after 2 s.
        """
        process = self._process
        if process is None:
            self._clean()
            return
        for number, patience_s in (*((signal.SIGTERM, 0.2),) * _TERMS, (signal.SIGKILL, _KILL_S)):
            if process.poll() is None:
                process.send_signal(number)
                await _ended(process, patience_s)
        self._forget()
        self._clean()

    async def kill(self) -> None:
        """End the server by SIGKILL, as a crash would; `start` or `stop` comes next."""
        if self._process is not None:
            self._process.kill()
            await _ended(self._process, _KILL_S)
            self._forget()

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal, for example SIGSTOP and SIGCONT."""
        if self._process is not None:
            self._process.send_signal(number)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_on(self, ports: tuple[int, int]) -> None:
        self._spawn(ports)
        ready = False
        try:
            await self._until_ready(ports[0])
            ready = True
        finally:
            if not ready:
                await self.stop()
        self._ports = ports
        self.url = f"ws://{_HOST}:{ports[0]}"

    def _spawn(self, ports: tuple[int, int]) -> None:
        program = self._program or find_livekit_server()
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="room-connector-livekit-")
        config = Path(self._directory.name) / "livekit.yaml"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._config(*ports)))  # JSON is YAML
        self._log = self.log_path.open("ab")
        try:
            self._process = subprocess.Popen(
                [program, "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we then end the server in good order
            )
        except OSError as error:
            self._forget()
            self._clean()
            raise UnavailableError(f"cannot start {program}: {error.strerror}") from None

    def _config(self, port: int, udp_port: int) -> dict[str, object]:
        config: dict[str, object] = {
            "port": port,
            "bind_addresses": [_HOST],
            "keys": {self.api_key: self.api_secret.reveal()},
            "rtc": {
                "tcp_port": 0,
                "udp_port": udp_port,
                "node_ip": _HOST,
                "enable_loopback_candidate": True,
                "ips": {"includes": [f"{_HOST}/32"]},
                # Otherwise clients are told to ask public STUN servers, each by a thread that waits for DNS.
                "stun_servers": [f"{_HOST}:9"],
            },
            "logging": {"level": "info", "json": True},
        }
        if self._webhook_urls:
            config["webhook"] = {"api_key": self.api_key, "urls": self._webhook_urls}
        return config | self._options

    async def _until_ready(self, port: int) -> None:
        process = self._process
        assert process is not None
        try:
            async with asyncio.timeout(_READY_S), aiohttp.ClientSession() as client:
                while process.poll() is None:
                    try:
                        async with client.get(f"http://{_HOST}:{port}/") as answer:
                            if answer.status == HTTPStatus.OK:
                                return
                    except aiohttp.ClientError:
                        pass
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise UnavailableError(
                f"livekit-server did not answer within {_READY_S:.0f} s: {self._log_end()}"
            ) from None
        kind = _PortTakenError if _PORT_TAKEN in self._log_end() else UnavailableError
        raise kind(f"livekit-server ended with status {process.returncode}: {self._log_end()}")

    def _log_end(self) -> str:
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return redact(lines[-1]) if lines else "it wrote nothing"

    def _clean(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _forget(self) -> None:
        self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None


class _PortTakenError(UnavailableError):
    """Somebody else took a port between our look and the server's."""


async def _ended(process: subprocess.Popen[bytes], patience_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, patience_s)


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
