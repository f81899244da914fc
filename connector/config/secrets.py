"""The secrets that a worker needs, from the environment or from files: all that is wrong with them at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connector.base.errors import ConfigError
from connector.base.fitness import unfit
from connector.base.secrets import Secret, read_secret, readable_by_others
from connector.config.model import ClaimStore, Config

_REQUIRED: Mapping[str, str] = {
    "LIVEKIT_API_KEY": "an API key of the LiveKit server",
    "LIVEKIT_API_SECRET": "the secret of that key",
    "MILLIS_PRIVATE_KEY": "the private key of the Millis account",
}
_OPTIONAL = ("LIVEKIT_API_KEY_2", "LIVEKIT_API_SECRET_2", "REDIS_URL", "CONNECTOR_EVENTS_SECRET")
SECRET_NAMES = (*_REQUIRED, *_OPTIONAL)
"""Every variable that holds a secret; each may be given as ``<name>_FILE`` instead."""


@dataclass(frozen=True)
class Credentials:
    """The secrets of one worker.

    Attributes:
        livekit_api_key: The key that tokens are made with.
        livekit_api_secret: Its secret.
        millis_private_key: The key of the Millis account.
        livekit_api_key_2: A second LiveKit key whose tokens and webhooks are accepted too, while keys are rotated.
        livekit_api_secret_2: Its secret.
        redis_url: The claim store, with its password, if there is one.
        events_secret: Signs outgoing lifecycle webhooks.
    """

    livekit_api_key: Secret
    livekit_api_secret: Secret
    millis_private_key: Secret
    livekit_api_key_2: Secret | None = None
    livekit_api_secret_2: Secret | None = None
    redis_url: Secret | None = None
    events_secret: Secret | None = None


def read_credentials(config: Config | None = None, environ: Mapping[str, str] | None = None) -> Credentials:
    """Read and check every secret.

    Args:
        config: Says what else is needed: ``REDIS_URL`` for `claims: redis`, ``CONNECTOR_EVENTS_SECRET`` for an events
            URL. None asks for the three that every worker needs.
        environ: Stands in for `os.environ`.

    Raises:
        ConfigError: With one line for each secret that is missing or unfit; no line shows a secret.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    found: dict[str, Secret | None] = {}
    for name in SECRET_NAMES:
        try:
            found[name] = read_secret(name, environ)
        except ConfigError as error:
            problems += error.problems
    problems += _missing(found, config)
    problems += _unfit(found)
    problems += _ice_credentials(config)
    key, secret, millis = (found.get(name) for name in _REQUIRED)
    if problems or key is None or secret is None or millis is None:
        raise ConfigError(problems)
    return Credentials(key, secret, millis, *(found[name] for name in _OPTIONAL))


def exposed_files(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The ``…_FILE`` variables whose file every user of this machine may read: worth a warning each."""
    return tuple(f"{name}_FILE" for name in SECRET_NAMES if readable_by_others(name, environ))


def _missing(found: Mapping[str, Secret | None], config: Config | None) -> Iterator[str]:
    """What is not set, among those that could be read at all."""
    for name, what in _REQUIRED.items():
        if name in found and found[name] is None:
            yield f"{name} is not set: set it to {what}, or name a file that holds it in {name}_FILE"
    for one, other in (("LIVEKIT_API_KEY_2", "LIVEKIT_API_SECRET_2"), ("LIVEKIT_API_SECRET_2", "LIVEKIT_API_KEY_2")):
        if one in found and found[one] is None and found.get(other) is not None:
            yield f"{one} is not set, but {other} is: set both while keys are rotated, or neither"
    if config is None:
        return
    if config.worker.claims == ClaimStore.REDIS and "REDIS_URL" in found and found["REDIS_URL"] is None:
        yield "REDIS_URL is not set, but worker.claims is redis: set it, or REDIS_URL_FILE, or use claims: memory"
    events, name = config.worker.events.url, "CONNECTOR_EVENTS_SECRET"
    if events is not None and name in found and found[name] is None:
        yield f"{name} is not set, but worker.events.url is: set it, or {name}_FILE; it signs what is posted there"


def _ice_credentials(config: Config | None) -> Iterator[str]:
    """The engines read these files, each for its own connections; here they are only tried."""
    for index, server in enumerate(config.millis.ice_servers if config is not None else ()):
        name = f"millis.ice_servers[{index}].credential_file"
        if server.credential_file is not None:
            try:
                read_secret(name, {f"{name}_FILE": server.credential_file})
            except ConfigError as error:
                yield from (problem.replace(f"{name}_FILE", name) for problem in error.problems)


def _unfit(found: Mapping[str, Secret | None]) -> Iterator[str]:
    for name, secret in found.items():
        problem = None if secret is None else unfit(name, secret)
        if problem is not None:
            yield problem
