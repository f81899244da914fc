"""The secrets of a worker, from the environment or from files: all of them checked at once, before anything starts."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connector.base.errors import ConfigError
from connector.base.secrets import Secret, read_secret, readable_by_others
from connector.config.model import ClaimStore, Config

MIN_SECRET = 32
"""LiveKit logs an error below 32 bytes (`facts/faults.md` §3); HMAC-SHA-256 is as strong as its key."""
_EVENTS_BYTES = (24, 64)
"""Standard Webhooks: a signing secret has 24 to 64 bytes."""
NAMES = (
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
    "LIVEKIT_API_KEY_2",
    "LIVEKIT_API_SECRET_2",
    "MILLIS_PRIVATE_KEY",
    "REDIS_URL",
    "CONNECTOR_EVENTS_SECRET",
)
"""The variables; each may end in ``_FILE`` instead and name a file."""


@dataclass(frozen=True, slots=True)
class LiveKitKey:
    """A key of the LiveKit server: signs our tokens, verifies webhooks and callers."""

    api_key: str
    api_secret: Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret that was given.

    Attributes:
        livekit: One key, or two while they are rotated. The first signs; either verifies.
        millis: Millis' private key; None only where it was not asked for.
        redis_url: Where claims are kept, with its password.
        events_secret: Signs outgoing webhooks.
        warnings: One line for each file that every user of the machine may read.
    """

    livekit: tuple[LiveKitKey, ...]
    millis: Secret | None
    redis_url: Secret | None
    events_secret: Secret | None
    warnings: tuple[str, ...]

    @property
    def livekit_api_key(self) -> Secret:
        """The key that signs."""
        return Secret(self.livekit[0].api_key)

    @property
    def livekit_api_secret(self) -> Secret:
        """The secret of the key that signs."""
        return self.livekit[0].api_secret


def read_credentials(
    config: Config | None = None, environ: Mapping[str, str] | None = None, *, millis: bool = True
) -> Credentials:
    """Read and check all secrets.

    Args:
        config: Tells which of the optional ones are needed (redis, events, ICE credentials).
        environ: Stands in for `os.environ`.
        millis: Whether Millis' key is needed; commands that only talk to LiveKit or the API do without.

    Raises:
        ConfigError: With one line for everything that is missing or wrong.
    """
    reader = _Reader(environ)
    livekit = [reader.livekit_key("", needed=True), reader.livekit_key("_2", needed=False)]
    credentials = Credentials(
        livekit=tuple(key for key in livekit if key is not None),
        millis=reader.one("MILLIS_PRIVATE_KEY", _millis_problem, needed="the private key of your Millis account")
        if millis
        else None,
        redis_url=reader.one("REDIS_URL", _redis_problem, needed=_redis_needed(config)),
        events_secret=reader.one("CONNECTOR_EVENTS_SECRET", _events_problem, needed=_events_needed(config)),
        warnings=tuple(
            f"{name}_FILE: every user of this machine may read the file: chmod o-r it"
            for name in NAMES
            if readable_by_others(name, environ)
        ),
    )
    problems = reader.problems + _credential_file_problems(config)
    if problems:
        raise ConfigError(problems)
    return credentials


class _Reader:
    """Reads secrets one by one and gathers what is wrong."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def one(self, name: str, check: Callable[[str], str | None], *, needed: str | None) -> Secret | None:
        """A secret; `needed` says what it is, or is None when it may be absent."""
        before = len(self.problems)
        try:
            secret = read_secret(name, self._environ)
        except ConfigError as error:
            self.problems += error.problems
            return None
        if secret is None and needed and len(self.problems) == before:
            self.problems.append(f"{name} is not set: give it {needed}, or name a file in {name}_FILE")
        problem = check(secret.reveal()) if secret is not None else None
        if problem is not None:
            self.problems.append(f"{name}: {problem}")
        return secret

    def livekit_key(self, suffix: str, *, needed: bool) -> LiveKitKey | None:
        """A pair of key and secret; both or neither."""
        name_key, name_secret = f"LIVEKIT_API_KEY{suffix}", f"LIVEKIT_API_SECRET{suffix}"
        before = len(self.problems)
        key = self.one(name_key, _no_problem, needed="the API key of your LiveKit" if needed else None)
        secret = self.one(name_secret, _livekit_problem, needed="the secret of that key" if needed else None)
        if len(self.problems) > before or (key is None and secret is None):
            return None
        if key is None or secret is None:
            given, absent = (name_secret, name_key) if key is None else (name_key, name_secret)
            self.problems.append(f"{absent} is not set although {given} is: set both or neither")
            return None
        return LiveKitKey(key.reveal(), secret)


def _no_problem(_text: str) -> str | None:
    return None


def _livekit_problem(text: str) -> str | None:
    if len(text) < MIN_SECRET:
        return f"expected at least {MIN_SECRET} characters, found {len(text)}: make a longer secret in LiveKit's keys"
    return None


def _millis_problem(text: str) -> str | None:
    if text.lower().startswith("bearer "):
        return "expected the key alone, found the word Bearer before it: take it out (millis.auth sets the form)"
    return "expected a key without spaces, found spaces in it" if " " in text else None


def _redis_problem(text: str) -> str | None:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        return "expected a URL such as redis://:password@host:6379/0, found another text"
    return None


def _events_problem(text: str) -> str | None:
    """Standard Webhooks: ``whsec_`` and base64."""
    least, most = _EVENTS_BYTES
    try:
        size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        return "expected whsec_ and base64, found another text: make one with: echo whsec_$(openssl rand -base64 32)"
    if not least <= size <= most:
        return f"expected {least} to {most} bytes in base64, found {size}"
    return None


def _redis_needed(config: Config | None) -> str | None:
    needed = config is not None and config.worker.claims is ClaimStore.REDIS
    return "the URL of the redis that keeps claims (worker.claims is redis)" if needed else None


def _events_needed(config: Config | None) -> str | None:
    needed = config is not None and config.worker.events.url is not None
    return "the signing secret of outgoing webhooks (worker.events.url is set)" if needed else None


def _credential_file_problems(config: Config | None) -> list[str]:
    """The engines read these files, each for its own connections; here they are only tried."""
    problems: list[str] = []
    for index, server in enumerate(config.millis.ice_servers if config else ()):
        name = f"millis.ice_servers[{index}].credential_file"
        if server.credential_file is not None:
            try:
                read_secret(name, {f"{name}_FILE": server.credential_file})
            except ConfigError as error:
                problems += [problem.replace(f"{name}_FILE", name) for problem in error.problems]
    return problems
