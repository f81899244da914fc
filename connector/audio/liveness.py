"""Whether the agent leg still lives: by datagrams, not by RTP.

An agent that listens may send no audio at all, but ICE consent checks (RFC 7675: every 4 to 6 s) keep datagrams
coming as long as the other side is there. So silence on the wire is a loss, silence in RTP alone is not, with two
exceptions: a leg that never brought any media, and a stream that never paused before and then stops for long.
"""

from dataclasses import dataclass

NO_DATAGRAMS_S = 12.0
"""Seconds without any datagram (RTP, RTCP, STUN, DTLS) after which a leg is lost (design): two missed consent
checks."""
NO_MEDIA_S = 15.0
"""Seconds after connecting by which the first RTP packet must have come (design)."""
AGENT_SILENCE_S = 30.0
"""Default of `agent_silence` in rooms.yaml."""
PAUSE_S = 1.0
"""RTP that comes back after this long has paused. Opus DTX still sends a packet every 400 ms (RFC 7587 §3.1.3), so a
stream that was quieter than this stops on purpose when it has nothing to say."""


@dataclass(slots=True)
class LivenessFigures:
    """What is known of a leg's media.

    Attributes:
        pauses: Times that RTP stopped for over a second and came back.
        longest_pause_s: The longest of them.
    """

    pauses: int = 0
    longest_pause_s: float = 0.0


class LegLiveness:
    """Judges one agent leg. Times are monotonic seconds and must not go backwards.

    Args:
        agent_silence_s: Seconds without RTP after which a stream that never paused before is lost.

    Attributes:
        figures: What was seen.
    """

    def __init__(self, agent_silence_s: float = AGENT_SILENCE_S) -> None:
        self._agent_silence_s = agent_silence_s
        self._connected: float | None = None
        self._datagram = float("-inf")
        self._rtp: float | None = None
        self.figures = LivenessFigures()

    def connected(self, now: float) -> None:
        """ICE and DTLS are up; the rules apply from here on."""
        if self._connected is None:
            self._connected = now
            self.datagram(now)

    def datagram(self, now: float) -> None:
        """A datagram of any kind arrived."""
        self._datagram = max(self._datagram, now)

    def rtp(self, now: float) -> None:
        """An RTP packet arrived; counts as a datagram, too."""
        if self._rtp is not None and now - self._rtp > PAUSE_S:
            self.figures.pauses += 1
            self.figures.longest_pause_s = max(self.figures.longest_pause_s, now - self._rtp)
        self._rtp = now
        self.datagram(now)

    def verdict(self, now: float) -> str | None:
        """Whether the leg is lost, and by what.

        Returns:
            ``no_datagrams``, ``no_media`` or ``agent_silence`` (as in `connector.base.legs.AgentLost`), None while it
            lives or is not connected yet (the connect deadline is not judged here).
        """
        if self._connected is None:
            return None
        if now - self._datagram >= NO_DATAGRAMS_S:
            return "no_datagrams"
        if self._rtp is None:
            return "no_media" if now - self._connected >= NO_MEDIA_S else None
        if not self.figures.pauses and now - self._rtp >= self._agent_silence_s:
            return "agent_silence"
        return None
