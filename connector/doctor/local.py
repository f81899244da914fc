"""What needs no network: rooms.yaml, the secrets, the native libraries."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.audio import opus
from connector.base.errors import ConfigError
from connector.config.load import Loaded, load
from connector.config.model import Config
from connector.config.report import warnings
from connector.config.secrets import Credentials, exposed_files, read_credentials
from connector.doctor.finding import Finding, failures, fine, warning
from connector.millis import seams as millis_seams
from connector.room import seams as room_seams

ROOMS, SECRETS = "rooms.yaml", "secrets"
LIBOPUS, LIVEKIT_LIBRARY, WEBRTC_LIBRARY = "libopus", "LiveKit library", "WebRTC library"


def look_at_rooms(path: Path | None, environ: Mapping[str, str]) -> tuple[Loaded | None, list[Finding]]:
    """Read rooms.yaml; None when it cannot be used."""
    try:
        loaded = load(path, environ)
    except ConfigError as error:
        return None, failures(ROOMS, error)
    count = len(loaded.config.rules)
    text = f"{loaded.name} is valid, with {count} rule{'' if count == 1 else 's'}"
    return loaded, [fine(ROOMS, text), *(warning(ROOMS, line) for line in warnings(loaded))]


def look_at_secrets(config: Config | None, environ: Mapping[str, str]) -> tuple[Credentials | None, list[Finding]]:
    """Read the secrets that this configuration needs; None when one is missing or unfit."""
    exposed = [
        warning(SECRETS, f"every user of this machine may read the file that {name} names: chmod o-r")
        for name in exposed_files(environ)
    ]
    try:
        credentials = read_credentials(config, environ)
    except ConfigError as error:
        return None, [*failures(SECRETS, error), *exposed]
    return credentials, [fine(SECRETS, "all that are needed are there, and well-formed"), *exposed]


async def look_at_libopus() -> Sequence[Finding]:
    """Encode, decode, conceal and restore once. Raises `UnavailableError`."""
    return [fine(LIBOPUS, f"{await asyncio.to_thread(opus.self_check)} works")]


async def look_at_livekit_library() -> Sequence[Finding]:
    """The seams of the LiveKit SDK; those that fell back are worth a warning. Raises `UnavailableError`."""
    fallbacks = await asyncio.to_thread(room_seams.check_seams)
    return [warning(LIVEKIT_LIBRARY, line) for line in fallbacks] or [fine(LIVEKIT_LIBRARY, "every seam fits")]


async def look_at_webrtc_library() -> Sequence[Finding]:
    """The seams of aiortc. Raises `UnavailableError`."""
    fallbacks = millis_seams.check_seams()
    return [warning(WEBRTC_LIBRARY, line) for line in fallbacks] or [fine(WEBRTC_LIBRARY, "every seam fits")]
