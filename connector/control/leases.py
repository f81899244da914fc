"""The leases of one replica: which rooms we hold, what an answer of the store changes, when we may claim. Pure.

A lease lives in the store and dies there by the store's clock; here is what we believe of it. An answer tells the truth
about the moment between question and answer, so every time that counts is that of the question. While the store gives
no answer nothing changes: what we hold counts as held.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

LEASE_S = 6.0
"""A lease that nobody renews is gone after so long (design §3, Control)."""
RENEW_S = 2.0
LOOK_S = 1.0
"""How often the other replicas are looked for, so that one that vanished is known within a second."""
GAP_S = 3.0
"""Who has heard nothing from the store for so long may find leases gone that their holders are about to take again:
an outage of less leaves each holder, who renewed at most 2 s before it, a second or more."""
GRACE_S = 3.0
"""So long after an outage nothing new is claimed: every holder tries again within 2.5 s (a time-out and a back-off)."""
DOUBT_S = 3.0
"""A lease of ours that another replica holds is lost when it still does after so long: one that had run out may be held
for a second by somebody who asks in the room whether we live, and then gives it back."""
_BACK_OFF_S = (0.1, 1.0)


class Renewal(IntEnum):
    """What the store did with one lease of ours."""

    OTHERS = 0
    """Another replica holds it."""
    KEPT = 1
    TAKEN_AGAIN = 2
    """It was gone and nobody else had it: it is ours anew."""


class Leases:
    """The rooms that this replica holds, and those whose lease is still to be given back.

    Each claim has a number; in the store a later number replaces an earlier one and is not deleted by it, so a command
    that arrives late cannot undo what came after it.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._held: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self._doubted: dict[str, float] = {}

    @property
    def held(self) -> Mapping[str, int]:
        """Rooms that we hold, with the number of the claim."""
        return self._held

    @property
    def leaving(self) -> Mapping[str, int]:
        """Rooms whose lease may still be ours in the store although we do not want it, with the highest number."""
        return self._leaving

    def sure(self, room: str) -> bool:
        """Whether we hold a room, and no other replica seems to."""
        return room in self._held and room not in self._doubted

    def next_number(self) -> int:
        """The number of the next claim."""
        self._numbers += 1
        return self._numbers

    def won(self, room: str, number: int, *, asked: float, now: float) -> bool:
        """The store granted a claim.

        Args:
            room: The room.
            number: The claim's number.
            asked: When the store was asked, in monotonic seconds.
            now: The time now.

        Returns:
            Whether the room is ours. Not when the answer is as old as a lease (the process was frozen meanwhile):
            somebody else may hold the room now.
        """
        if now - asked >= LEASE_S:
            self.unsure(room, number)
            return False
        self._held[room] = number
        self._leaving.pop(room, None)
        self._doubted.pop(room, None)
        return True

    def unsure(self, room: str, number: int) -> None:
        """A claim was made and its answer never seen: if it was granted, it is to be given back."""
        if room not in self._held:
            self._leaving[room] = max(number, self._leaving.get(room, 0))

    def drop(self, room: str) -> bool:
        """We do not want the room any more; whether we held it. `left` confirms that the store knows."""
        if self._held.pop(room, None) is None:
            return False
        self._leaving[room] = self._numbers
        self._doubted.pop(room, None)
        return True

    def left(self, given_back: Mapping[str, int]) -> None:
        """The store has deleted these leases, each up to its number."""
        for room, number in given_back.items():
            if self._leaving.get(room, number + 1) <= number:
                del self._leaving[room]

    def renewed(self, asked_for: Mapping[str, int], results: Sequence[int], *, asked: float) -> list[str]:
        """The store answered a renewal.

        Args:
            asked_for: What `held` was when it was asked, in the order asked.
            results: A `Renewal` for each.
            asked: When it was asked, in monotonic seconds.

        Returns:
            Rooms that another replica has taken: they are not ours any more.
        """
        lost = []
        for (room, number), result in zip(asked_for.items(), results, strict=True):
            if self._held.get(room) != number:
                continue
            if result != Renewal.OTHERS:
                self._doubted.pop(room, None)
            elif asked - self._doubted.setdefault(room, asked) >= DOUBT_S:
                del self._held[room], self._doubted[room]
                lost.append(room)
        return lost


class Contact:
    """Whether the store answers, and what follows for new claims.

    After an outage every replica takes its own leases again first; until all had the time for it, nobody claims what
    seems to be free.
    """

    def __init__(self) -> None:
        self._heard: float | None = None
        self._failures = 0
        self._grace_until: float | None = None
        self.lost_at: float | None = None
        """Since when the store gives no answer, or None."""

    @property
    def heard_at(self) -> float | None:
        """When the store was last asked for a renewal that it answered; None when it never was."""
        return self._heard

    def heard(self, asked: float, now: float, *, known: bool = True) -> float | None:
        """The store answered a renewal.

        Args:
            asked: When it was asked, in monotonic seconds.
            now: The time now.
            known: Whether the store still knew us from the renewal before: if not, it knows no lease either.

        Returns:
            How long it was lost, when it is back with this answer.
        """
        before, self._heard = self._heard, asked
        if before is not None and (asked - before > GAP_S or not known):
            self._grace_until = now + GRACE_S
        lost_at, self.lost_at, self._failures = self.lost_at, None, 0
        return None if lost_at is None else now - lost_at

    def failed(self, now: float) -> bool:
        """The store did not answer; whether this is the first time since it last did."""
        self._failures += 1
        if self.lost_at is not None:
            return False
        self.lost_at = now
        return True

    def may_claim(self, now: float) -> bool:
        """Whether a claim may be tried now."""
        return self.lost_at is None and (self._grace_until is None or now >= self._grace_until)

    def grace_ended(self, now: float) -> bool:
        """Whether the wait after an outage has just ended; says so once."""
        if self._grace_until is None or self.lost_at is not None or now < self._grace_until:
            return False
        self._grace_until = None
        return True

    def back_off_s(self, chance: float) -> float:
        """How long to wait before the store is asked again.

        Args:
            chance: From 0 to 1; spreads replicas.
        """
        least, most = _BACK_OFF_S
        return min(most, least * 2.0 ** min(self._failures, 10)) * (0.5 + chance / 2)
