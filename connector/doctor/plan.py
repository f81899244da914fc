"""Which checks there are, in which order they are shown, and what each needs before it can look."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from yarl import URL

from connector.config.load import Loaded
from connector.config.model import ClaimStore
from connector.config.secrets import Credentials
from connector.doctor import local
from connector.doctor.checking import Check
from connector.doctor.clock import CLOCK, look_at_clock
from connector.doctor.finding import Finding, left_out
from connector.doctor.livekit import KEY, MEDIA, VERSION, look_at_key, look_at_media, look_at_version
from connector.doctor.store import REDIS, look_at_redis
from connector.doctor.web import MILLIS, WEBHOOKS, look_at_millis, look_at_webhooks

NAMES = (
    local.ROOMS,
    local.SECRETS,
    local.LIBOPUS,
    local.LIVEKIT_LIBRARY,
    local.WEBRTC_LIBRARY,
    KEY,
    VERSION,
    MEDIA,
    MILLIS,
    CLOCK,
    WEBHOOKS,
    REDIS,
)
"""Every check, in the order in which they are shown. The first two come before all others, for those need them."""

_NO_ROOMS = "not looked at: rooms.yaml must be right first"
_NO_SECRETS = "not looked at: the secrets must be right first"

Look = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True)
class Surroundings:
    """What the network checks start from.

    Attributes:
        loaded: rooms.yaml, if it can be used.
        credentials: The secrets, if they can be used.
        join: Whether a test room may be joined.
    """

    loaded: Loaded | None
    credentials: Credentials | None
    join: bool = True


def plan(around: Surroundings) -> list[Check]:
    """All checks but the first two; those that cannot look say so."""
    return [
        Check(local.LIBOPUS, local.look_at_libopus),
        Check(local.LIVEKIT_LIBRARY, local.look_at_livekit_library),
        Check(local.WEBRTC_LIBRARY, local.look_at_webrtc_library),
        *_network(around),
    ]


def _network(around: Surroundings) -> list[Check]:
    if around.loaded is None:
        return [_not_looked_at(name, _NO_ROOMS) for name in NAMES[NAMES.index(KEY) :]]
    config = around.loaded.config
    millis, livekit = config.millis.url, URL(config.livekit.url)
    http = {"LiveKit": str(livekit.with_scheme("https" if livekit.scheme == "wss" else "http")), "Millis": millis}
    return [
        *_with_the_key(around.loaded, around.credentials, join=around.join),
        Check(MILLIS, lambda: look_at_millis(millis)),
        Check(CLOCK, lambda: look_at_clock(http)),
        Check(WEBHOOKS, lambda: look_at_webhooks(config.worker.listen, livekit.host or "")),
        _redis(around.loaded, around.credentials),
    ]


def _with_the_key(loaded: Loaded, credentials: Credentials | None, *, join: bool) -> list[Check]:
    if credentials is None:
        return [_not_looked_at(name, _NO_SECRETS) for name in (KEY, VERSION, MEDIA)]
    config = loaded.config
    url, name = config.livekit.url, config.worker.agent_name
    media = Check(MEDIA, lambda: look_at_media(url, credentials, config.rules))
    return [
        Check(KEY, lambda: look_at_key(url, credentials)),
        Check(VERSION, lambda: look_at_version(url, credentials, name)),
        media if join else _not_looked_at(MEDIA, "not tried, because of --no-join"),
    ]


def _redis(loaded: Loaded, credentials: Credentials | None) -> Check:
    if loaded.config.worker.claims is not ClaimStore.REDIS:
        return _not_looked_at(REDIS, "not needed: worker.claims is memory")
    url = None if credentials is None else credentials.redis_url
    return _not_looked_at(REDIS, _NO_SECRETS) if url is None else Check(REDIS, lambda: look_at_redis(url))


def _not_looked_at(name: str, why: str) -> Check:
    async def look() -> Sequence[Finding]:
        return [left_out(name, why)]

    return Check(name, look)
