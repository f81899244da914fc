"""The other replicas: how busy each one is, who takes a new room first, who vanished. Pure."""

import hashlib
from collections import Counter
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
        self._expected: Counter[str] = Counter()

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
        others = set(living) - {self._me}
        gone, self._living = self._living - others, others
        self._loads = {replica: load for replica, load in living.items() if load is not None}
        self._expected.clear()
        return frozenset(gone)

    def delay_s(self, room: str, own: Load) -> float:
        """How long to wait before a new room is claimed, so that the least loaded replica comes first.

        Every replica goes by what stands in the store, also about itself, and adds for each room since then one session
        to whoever was first for it: so all come to nearly the same order, and a burst of rooms is spread. Equally
        loaded ones are ordered by a hash of room and worker id. Who is full or draining comes last.

        Args:
            room: The room.
            own: Our load now: if we are full now, we are last.
        """
        loads = {self._me: own} | self._loads
        expected = {
            replica: Load(load.sessions + self._expected[replica], load.capacity) for replica, load in loads.items()
        }
        order = sorted(
            (replica for replica, load in expected.items() if not load.full),
            key=lambda replica: (expected[replica].share, _order(room, replica)),
        )
        if own.full and self._me in order:
            order.remove(self._me)
        if order:
            self._expected[order[0]] += 1
        rank = order.index(self._me) if self._me in order else len(order)
        return min(MOST_DELAY_S, rank * RANK_S)


def _order(room: str, replica: str) -> bytes:
    text = f"{len(room)} {room} {replica}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
