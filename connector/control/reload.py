"""Hot reload of rooms.yaml: the file is looked at again and again, and what is right comes into force within 2 s.

A wrong file (half-written, unreadable, gone, too large, invalid) changes nothing but a log line for each problem, a
metric and the text of `/readyz`. What needs a restart is named and stays as it was at the start.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import structlog

from connector.base.redact import redact
from connector.config.digest import config_hash
from connector.config.errors import InvalidConfigError
from connector.config.load import Loaded, load_text, read_file
from connector.config.model import Config
from connector.control.observer import Observer
from connector.control.rule_changes import ReloadReport, in_force, reload_report
from connector.control.settled import LOOK_EVERY_S, Settled

_log = structlog.get_logger()


class ConfigWatch:
    """Keeps the configuration in step with its file.

    Args:
        path: The file, as `find_config` gave it.
        loaded: What was read from it at the start.
        on_config: Told of every new configuration that comes into force. It holds the file's rules; livekit, millis
            and worker are those of the start.
        observer: Told of every reload.
        environ: Stands in for `os.environ`.
        every_s: Seconds between looks.

    Attributes:
        config: The configuration in force.
        problem: For `/readyz`: why the newest file is not in force; None when it is.
        restart_needed: The keys that differ from what the worker was started with.
    """

    def __init__(
        self,
        path: Path,
        loaded: Loaded,
        on_config: Callable[[Config], None],
        observer: Observer,
        *,
        environ: Mapping[str, str] | None = None,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._path = path
        self._name = loaded.name
        self._started = loaded.config
        self._on_config = on_config
        self._observer = observer
        self._environ = environ
        self._every_s = every_s
        self._settled = Settled(loaded.digest)
        self.config = loaded.config
        self.problem: str | None = None
        self.restart_needed: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What an operator should know, for `/readyz`; empty when all is well."""
        restart = f"restart the worker for what changed in {self._name}: {', '.join(self.restart_needed)}"
        return (*((self.problem,) if self.problem else ()), *((restart,) if self.restart_needed else ()))

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        """Look at the file once; a change that two looks in a row saw is taken, or refused."""
        found = await asyncio.to_thread(self._read)
        if not self._settled.changed(_fingerprint(found)):
            return
        try:
            if isinstance(found, InvalidConfigError):
                raise found
            loaded = await asyncio.to_thread(load_text, found, name=self._name, environ=self._environ)
        except InvalidConfigError as error:
            self._refuse(error)
        else:
            self._take(loaded.config)

    def _read(self) -> str | InvalidConfigError:
        try:
            return read_file(self._path)
        except InvalidConfigError as error:
            return error

    def _refuse(self, error: InvalidConfigError) -> None:
        for line in error.problems:
            _log.error("reload_failed", problem=line)
        more = f" (and {len(error.found) - 1} more, see the log)" if len(error.found) > 1 else ""
        self.problem = f"the changed {self._name} is not in force: {redact(error.problems[0])}{more}"
        self._observer.reloaded(ok=False, config_hash=config_hash(self.config))

    def _take(self, new: Config) -> None:
        report = reload_report(self._started, self.config, new)
        old, self.config = self.config, in_force(self._started, new)
        self.problem = None
        digest = config_hash(self.config)
        _log.info("reloaded", config=digest, rules=len(new.rules), **_told(report))
        if report.restart and report.restart != self.restart_needed:
            _log.warning("restart_needed", keys=report.restart)
        self.restart_needed = report.restart
        self._observer.reloaded(ok=True, config_hash=digest)
        if config_hash(old) != digest:
            self._on_config(self.config)


def _fingerprint(found: str | InvalidConfigError) -> str:
    """Of a text as `Loaded.digest` is; of a failure, what is wrong."""
    return str(found) if isinstance(found, InvalidConfigError) else hashlib.sha256(found.encode()).hexdigest()[:12]


def _told(report: ReloadReport) -> dict[str, object]:
    """What there is to say about a reload, without what is empty; `restart` has a line of its own."""
    return {name: value for name, value in asdict(report).items() if value and name != "restart"}
