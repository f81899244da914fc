"""A short hash of a configuration: the same text for the same meaning, whatever the file's layout. Pure."""

import hashlib

from connector.config.model import Config

_DIGITS = 12


def config_hash(config: Config) -> str:
    """Twelve hex digits of the SHA-256 of the resolved configuration.

    Comments, the order of the model's keys and defaults that are written out do not change it; the order of rules and
    of `gain_db`'s patterns does, for it matters. No secret goes in: a configuration holds none.
    """
    return hashlib.sha256(config.model_dump_json(by_alias=True).encode()).hexdigest()[:_DIGITS]
