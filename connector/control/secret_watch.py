"""Secrets that are rotated while the worker runs: the files that ``…_FILE`` variables name are looked at for changes.

Control uses what this gives; engines read the same files when they start a session. A secret that stands in the
environment itself cannot change while the process lives.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import structlog

from connector.base.errors import ConfigError
from connector.base.redact import redact
from connector.config.model import Config
from connector.config.secrets import SECRET_NAMES, Credentials, exposed_files, read_credentials
from connector.control.settled import LOOK_EVERY_S, Settled

_MAX_BYTES = 64 * 1024 + 1
"""One byte more than `read_secret` accepts."""

_log = structlog.get_logger()


class SecretWatch:
    """Keeps the secrets in step with their files.

    Args:
        config: Says which secrets are needed.
        credentials: What was read at the start.
        on_credentials: Told of new secrets. Old ones stay known to redaction.
        environ: Stands in for `os.environ`.
        every_s: Seconds between looks.

    Attributes:
        credentials: The secrets in force.
        problem: For `/readyz`: why the newest secrets are not in force; None when they are.
    """

    def __init__(
        self,
        config: Config,
        credentials: Credentials,
        on_credentials: Callable[[Credentials], None],
        *,
        environ: Mapping[str, str] | None = None,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._config = config
        self._on_credentials = on_credentials
        self._environ = os.environ if environ is None else environ
        self._every_s = every_s
        self._files = tuple(
            Path(self._environ[f"{name}_FILE"]) for name in SECRET_NAMES if f"{name}_FILE" in self._environ
        )
        self._settled = Settled("")  # read once more at the first looks: a change since the start is not missed
        self.credentials = credentials
        self.problem: str | None = None

    async def run(self) -> None:
        """Look until cancelled; returns at once when no secret stands in a file.

        A file that every user of the machine may read is warned of, once.
        """
        for variable in exposed_files(self._environ):
            _log.warning("secret_file_exposed", variable=variable, remedy="take the right to read it from others")
        while self._files:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        """Look at the files once; a change that two looks in a row saw is taken, or refused."""
        if not self._settled.changed(await asyncio.to_thread(self._fingerprint)):
            return
        try:
            new = await asyncio.to_thread(read_credentials, self._config, self._environ)
        except ConfigError as error:
            for line in error.problems:
                _log.error("secrets_reload_failed", problem=line)
            self.problem = f"changed secrets are not in force: {redact(error.problems[0])}"
            return
        old, self.credentials = self.credentials, new
        if new != old or self.problem is not None:
            _log.info("secrets_reloaded", changed=_differing(old, new))
        self.problem = None
        if new != old:
            self._on_credentials(new)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(hashlib.sha256(_content(path)).digest())
        return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError as error:
        return f"errno {error.errno}".encode()


def _differing(old: Credentials, new: Credentials) -> list[str]:
    """The variables whose secrets differ; names only."""
    names = (field.name for field in fields(Credentials))
    return [name.upper() for name in names if getattr(old, name) != getattr(new, name)]
