"""What lies behind an end reason: one word, from a closed set that legs, history and metrics share."""

from enum import StrEnum


class Cause(StrEnum):
    """What failed, on either leg.

    The first eight say what became of a request (an offer to Millis, a join to LiveKit), the next three why no
    connection to the agent came about, the others how one was lost. A room that was lost has LiveKit's own word
    instead: its disconnect reason in small letters, or `FLAPPING`.
    """

    UNREACHABLE = "unreachable"
    AUTH = "auth"
    CONFIG = "config"
    RATE = "rate"
    SERVER = "server"
    TIMEOUT = "timeout"
    AMBIGUOUS = "ambiguous"
    BAD_ANSWER = "bad_answer"
    ICE_FAILED = "ice_failed"
    DTLS_FAILED = "dtls_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    NO_DATAGRAMS = "no_datagrams"
    NO_MEDIA = "no_media"
    AGENT_SILENCE = "agent_silence"
    TRANSPORT_FAILED = "transport_failed"
    HUNG_UP = "hung_up"
    FLAPPING = "flapping"
