"""What the scripts in Redis do to leases, in Python and with a clock that the test sets."""

from dataclasses import dataclass, field

from connector.control.leases import GAP_S, LEASE_S, Renewal


@dataclass
class LeaseModel:
    """Leases and replicas' own keys, each with its time to live.

    Attributes:
        now: The store's clock, in seconds.
    """

    now: float = 0.0
    _leases: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    _replicas: dict[str, float] = field(default_factory=dict)

    def lease(self, room: str) -> tuple[str, int] | None:
        """Who holds a room, and the claim's number."""
        mark, number, until = self._leases.get(room, ("", 0, 0.0))
        return (mark, number) if until > self.now else None

    def claim(self, mark: str, room: str, number: int) -> str:
        """The CLAIM script."""
        if self._replicas.get(mark, 0.0) - self.now < LEASE_S - GAP_S:
            return "away"
        lease = self.lease(room)
        if lease is not None and lease[0] != mark:
            return "lost"
        self._set(mark, room, max(number, lease[1] if lease else 0))
        self._replicas[mark] = self.now + LEASE_S
        return "won"

    def beat(self, mark: str, held: dict[str, int]) -> list[int]:
        """The BEAT script."""
        results = []
        for room, number in held.items():
            lease = self.lease(room)
            if lease is None:
                self._set(mark, room, number)
                results.append(Renewal.TAKEN_AGAIN.value)
            elif lease[0] == mark:
                self._set(mark, room, lease[1])
                results.append(Renewal.KEPT.value)
            else:
                results.append(Renewal.OTHERS.value)
        self._replicas[mark] = self.now + LEASE_S
        return results

    def release(self, mark: str, leaving: dict[str, int]) -> int:
        """The RELEASE script."""
        for room, number in leaving.items():
            lease = self.lease(room)
            if lease is not None and lease[0] == mark and lease[1] <= number:
                del self._leases[room]
        return len(leaving)

    def expire(self, room: str) -> None:
        """The lease of a room runs out."""
        self._leases.pop(room, None)

    def rooms(self) -> dict[str, str]:
        """Who holds each room that is held."""
        return {room: lease[0] for room in self._leases if (lease := self.lease(room)) is not None}

    def _set(self, mark: str, room: str, number: int) -> None:
        self._leases[room] = (mark, number, self.now + LEASE_S)
