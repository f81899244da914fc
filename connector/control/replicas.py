"""The other replicas: how busy each one is, who takes a new room first, who vanished. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

RANK_S = 0.15
"""How much longer each rank waits: more than a hint, a look at the room and a claim take (some 30 ms)."""
MOST_DELAY_S = 0.6


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a replica is.

    Attributes:
        sessions: Sessions that run or begin.
        capacity: Sessions that fit; 0 while it takes none (draining).
    """

    sessions: int
    capacity: int

    @property
    def full(self) -> bool:
        """Whether nothing fits any more."""
        return self.sessions >= self.capacity

    @property
    def share(self) -> float:
        """Sessions per capacity."""
        return self.sessions / self.capacity if self.capacity > 0 else 1.0


class Replicas:
    """Those that live, as last seen in the store.

    Args:
        me: Our own worker id.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._living: set[str] = set()
        self._loads: dict[str, Load] = {}

    @property
    def others(self) -> frozenset[str]:
        """The worker ids of the others."""
        return frozenset(self._living)

    def seen(self, living: Mapping[str, Load | None]) -> frozenset[str]:
        """Take in who lives.

        Args:
            living: By worker id, with how busy it is; None when what it says cannot be read.

        Returns:
            Those that lived before and do not any more.
        """
        others = {replica: load for replica, load in living.items() if replica != self._me}
        gone = self._living - others.keys()
        self._living = set(others)
        self._loads = {replica: load for replica, load in others.items() if load is not None}
        return frozenset(gone)

    def delay_s(self, room: str, own: Load) -> float:
        """How long to wait before a new room is claimed, so that the least loaded replica comes first.

        Equally loaded replicas are ordered by a hash of room and worker id: each is first for its share of the rooms.
        Who is full or draining comes last.
        """
        open_ones = {replica: load for replica, load in self._loads.items() if not load.full}
        if own.full:
            rank = len(open_ones)
        else:
            mine = (own.share, _order(room, self._me))
            rank = sum((load.share, _order(room, replica)) < mine for replica, load in open_ones.items())
        return min(MOST_DELAY_S, rank * RANK_S)


def _order(room: str, replica: str) -> bytes:
    text = f"{len(room)} {room} {replica}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
