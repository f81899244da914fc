"""The secrets of an engine: read anew for every session, and the last good ones as long as the newest are not fit."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from connector.base.errors import ConfigError
from connector.base.fitness import unfit
from connector.base.secrets import Secret, read_secret

_log = structlog.get_logger()


@dataclass(frozen=True)
class SessionSecrets:
    """What the legs of one session are opened with."""

    livekit_api_key: Secret
    livekit_api_secret: Secret
    millis_private_key: Secret


class EngineSecrets:
    """Reads the secrets of this process from the environment and the files that it names.

    A rotated file counts from the next session on. All three change together or not at all: a key with another key's
    secret is refused by LiveKit.

    Args:
        environ: Stands in for `os.environ`.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._good: SessionSecrets | None = None
        self._complaint = ""

    def read(self) -> SessionSecrets:
        """The secrets for a session that starts now.

        Raises:
            ConfigError: They are missing or unfit, and never were any better.
        """
        problems: list[str] = []
        found = [self._one(name, problems) for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "MILLIS_PRIVATE_KEY")]
        key, secret, millis = found
        if not problems and key is not None and secret is not None and millis is not None:
            self._good, self._complaint = SessionSecrets(key, secret, millis), ""
            return self._good
        if self._good is None:
            raise ConfigError(problems)
        self._complain("; ".join(problems))
        return self._good

    def _one(self, name: str, problems: list[str]) -> Secret | None:
        try:
            secret = read_secret(name, self._environ)
        except ConfigError as error:
            problems += error.problems
            return None
        unset = f"{name} is not set: set it, or name a file that holds it in {name}_FILE"
        problem = unset if secret is None else unfit(name, secret)
        if problem is not None:
            problems.append(problem)
        return secret

    def _complain(self, what: str) -> None:
        """Once for each new fault, not for each session."""
        if what != self._complaint:
            self._complaint = what
            _log.error("secrets_reload_failed", problem=what)
