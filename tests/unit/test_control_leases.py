"""Leases as one replica believes them, and what an outage of the store does to claims."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connector.control.leases import DOUBT_S, GAP_S, GRACE_S, LEASE_S, RENEW_S, Contact, Leases, Renewal
from tests.lease_model import LeaseModel


def won(leases: Leases, room: str, at: float = 0.0) -> int:
    """Claim a room; returns the number."""
    number = leases.next_number()
    assert leases.won(room, number, asked=at, now=at + 0.01)
    return number


def test_a_won_room_is_held_until_dropped_and_then_given_back() -> None:
    """A room is held from the answer to the drop, and is to be given back until the store has deleted it."""
    leases = Leases()
    number = won(leases, "a")
    assert (leases.held, leases.leaving) == ({"a": number}, {})
    assert leases.drop("a")
    assert not leases.drop("a")
    assert (leases.held, leases.leaving) == ({}, {"a": number})
    leases.left({"a": number})
    assert leases.leaving == {}


def test_an_answer_as_old_as_a_lease_wins_nothing() -> None:
    """A process that was frozen between question and answer does not believe it, and gives the lease back."""
    leases = Leases()
    number = leases.next_number()
    assert not leases.won("a", number, asked=10.0, now=10.0 + LEASE_S)
    assert (leases.held, leases.leaving) == ({}, {"a": number})


def test_a_claim_without_an_answer_is_given_back_unless_it_is_won_later() -> None:
    """Whether an unanswered claim was granted is not known, so its lease is deleted; a later win ends that."""
    leases = Leases()
    number = leases.next_number()
    leases.unsure("a", number)
    assert leases.leaving == {"a": number}
    won(leases, "a")
    assert leases.leaving == {}
    leases.unsure("a", number)
    assert leases.leaving == {}


def test_a_drop_covers_every_claim_before_it() -> None:
    """What is given back reaches up to the newest claim, also one whose answer never came."""
    leases = Leases()
    won(leases, "a")
    leases.unsure("a", leases.next_number())
    assert leases.drop("a")
    assert leases.leaving == {"a": 2}


def test_a_confirmation_of_an_earlier_deletion_is_not_enough() -> None:
    """A lease that was dropped again while it was being deleted is deleted again."""
    leases = Leases()
    first = won(leases, "a")
    leases.drop("a")
    second = won(leases, "a")
    leases.drop("a")
    leases.left({"a": first})
    assert leases.leaving == {"a": second}


def test_only_what_another_replica_goes_on_to_hold_is_lost() -> None:
    """Kept leases and those taken again stay; one that another still holds after three seconds is lost, once."""
    leases = Leases()
    for room in "abc":
        won(leases, room)
    asked = dict(leases.held)
    results = [Renewal.KEPT, Renewal.TAKEN_AGAIN, Renewal.OTHERS]
    assert leases.renewed(asked, results, asked=10.0) == []
    assert [room for room in "abc" if leases.sure(room)] == ["a", "b"]
    assert leases.renewed(asked, results, asked=10.0 + DOUBT_S - 0.1) == []
    assert leases.renewed(asked, results, asked=10.0 + DOUBT_S) == ["c"]
    assert set(leases.held) == {"a", "b"}
    assert leases.renewed(asked, results, asked=20.0) == []


def test_what_another_held_for_a_moment_stays_ours() -> None:
    """A lease that somebody took and gave back is taken again, and a later doubt begins anew."""
    leases = Leases()
    won(leases, "a")
    for asked, result in (
        (0.0, Renewal.OTHERS),
        (2.0, Renewal.TAKEN_AGAIN),
        (4.0, Renewal.OTHERS),
        (6.0, Renewal.KEPT),
    ):
        assert leases.renewed(dict(leases.held), [result], asked=asked) == []
    assert leases.sure("a")


def test_a_renewal_says_nothing_about_a_later_claim() -> None:
    """A room that was dropped and won again while a renewal was under way is neither doubted nor lost by its answer."""
    leases = Leases()
    won(leases, "a")
    asked = dict(leases.held)
    leases.renewed(asked, [Renewal.OTHERS], asked=0.0)
    leases.drop("a")
    assert not leases.sure("a")
    won(leases, "a")
    assert leases.renewed(asked, [Renewal.OTHERS], asked=10.0) == []
    assert leases.sure("a")


def test_an_outage_is_told_once_and_its_end_once() -> None:
    """The first failure and the first answer after it are news, the others are not."""
    contact = Contact()
    assert contact.heard(0.0, 0.1) is None
    assert contact.failed(3.0)
    assert not contact.failed(4.0)
    assert not contact.may_claim(4.0)
    assert contact.heard(8.0, 8.0) == pytest.approx(5.0)
    assert contact.heard(9.0, 9.0) is None


def test_after_an_outage_claims_wait_until_every_holder_had_time() -> None:
    """For three seconds after an outage nothing is claimed; then that is told once, so that rooms are looked at."""
    contact = Contact()
    contact.heard(0.0, 0.0)
    contact.failed(2.0)
    contact.heard(GAP_S + 2.0, 10.0)
    assert not contact.may_claim(10.0 + GRACE_S - 0.01)
    assert not contact.grace_ended(10.0 + GRACE_S - 0.01)
    assert contact.may_claim(10.0 + GRACE_S)
    assert contact.grace_ended(10.0 + GRACE_S)
    assert not contact.grace_ended(10.0 + GRACE_S)


def test_a_single_missed_renewal_stops_nothing_for_long() -> None:
    """A failure between two renewals that are not far apart has no wait after it: no lease can have run out."""
    contact = Contact()
    contact.heard(0.0, 0.0)
    contact.failed(2.0)
    contact.heard(GAP_S, GAP_S)
    assert contact.may_claim(GAP_S)


def test_a_store_that_forgot_us_has_forgotten_every_lease() -> None:
    """However short an outage was: when the store has lost its memory, claims wait until all leases are there again."""
    contact = Contact()
    contact.heard(0.0, 0.0, known=False)
    assert contact.may_claim(0.0)
    contact.heard(2.0, 2.0, known=False)
    assert not contact.may_claim(2.0)
    contact.heard(4.0, 4.0)
    assert contact.may_claim(2.0 + GRACE_S)


def test_a_frozen_replica_waits_as_well() -> None:
    """A long silence counts as an outage also when no call failed: we were the one that stood still."""
    contact = Contact()
    contact.heard(0.0, 0.0)
    assert contact.heard(60.0, 60.0) is None
    assert not contact.may_claim(60.0)


def test_the_first_answer_ever_needs_no_wait() -> None:
    """A replica that starts claims at once."""
    contact = Contact()
    assert contact.heard_at is None
    contact.failed(0.0)
    contact.heard(50.0, 50.0)
    assert contact.may_claim(50.0)
    assert contact.heard_at == 50.0


def test_the_back_off_grows_to_a_second_and_is_spread() -> None:
    """Tries come quickly at first, then once a second at most, and never in step with the others'."""
    contact = Contact()
    waits = []
    for _ in range(40):
        contact.failed(0.0)
        waits.append((contact.back_off_s(0.0), contact.back_off_s(1.0)))
    assert waits[0] == pytest.approx((0.1, 0.2))
    assert waits[-1] == pytest.approx((0.5, 1.0))


ROOMS = st.sampled_from(["a", "b"])
WHO = st.integers(0, 1)
FATES = st.sampled_from(["answered", "answered", "on its way", "answer on its way", "given up", "lost"])


@dataclass
class Way:
    """A request that is on its way, and what its answer does at the replica that made it, if it still waits."""

    run: Callable[[], object]
    answer: Callable[[object], None]
    waited_for: bool = True

    def arrives(self, result: object) -> None:
        if self.waited_for:
            self.waited_for = False
            self.answer(result)


@dataclass
class Replica:
    """One replica's belief, and what it waits for.

    `sure` is when the store was asked last for each room whose lease it then confirmed.
    """

    mark: str
    leases: Leases = field(default_factory=Leases)
    sure: dict[str, float] = field(default_factory=dict)
    claiming: set[str] = field(default_factory=set)
    renewing: bool = False


class Replicas(RuleBasedStateMachine):
    """Two replicas and a store, whose requests and answers take any time, arrive in any order, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.store = LeaseModel()
        self.all = [Replica("r0:"), Replica("r1:")]
        self.requests: list[Way] = []
        self.answers: list[tuple[Way, object]] = []
        for me in self.all:
            self.store.beat(me.mark, {})

    def send(self, way: Way, fate: str) -> None:
        """Send a request; one that was given up may reach the store all the same, at any time."""
        if fate in ("answered", "answer on its way"):
            self.answers.append((way, way.run()))
        elif fate in ("on its way", "given up"):
            self.requests.append(way)
        if fate == "answered":
            way.arrives(self.answers.pop()[1])
        elif fate in ("given up", "lost"):
            way.arrives(None)

    @rule(seconds=st.sampled_from([0.01, 1.0, RENEW_S, LEASE_S - 0.01, LEASE_S]))
    def time_passes(self, seconds: float) -> None:
        self.store.now += seconds

    @rule(who=WHO, room=ROOMS, fate=FATES)
    def claim(self, who: int, room: str, fate: str) -> None:
        me, asked = self.all[who], self.store.now
        if room in me.leases.held or room in me.claiming:
            return
        number = me.leases.next_number()

        def answer(outcome: object) -> None:
            me.claiming.remove(room)
            if outcome is None:
                me.leases.unsure(room, number)
            elif outcome == "won" and me.leases.won(room, number, asked=asked, now=self.store.now):
                me.sure[room] = asked
                lease = self.store.lease(room)
                assert lease is not None
                assert lease[0] == me.mark

        me.claiming.add(room)
        self.send(Way(lambda: self.store.claim(me.mark, room, number), answer), fate)

    @rule(who=WHO, fate=FATES)
    def beat(self, who: int, fate: str) -> None:
        me, asked = self.all[who], self.store.now
        if me.renewing:
            return
        held = dict(me.leases.held)

        def answer(results: object) -> None:
            me.renewing = False
            if isinstance(results, list):
                me.leases.renewed(held, results, asked=asked)
                done = zip(held.items(), results, strict=True)
                kept = [room for (room, number), result in done if result and me.leases.held.get(room) == number]
                me.sure |= dict.fromkeys(kept, asked)

        me.renewing = True
        self.send(Way(lambda: self.store.beat(me.mark, held), answer), fate)

    @rule(who=WHO, room=ROOMS)
    def drop(self, who: int, room: str) -> None:
        self.all[who].leases.drop(room)

    @rule(who=WHO, fate=FATES)
    def give_back(self, who: int, fate: str) -> None:
        me = self.all[who]
        leaving = dict(me.leases.leaving)
        if me.renewing or not leaving:
            return

        def answer(done: object) -> None:
            me.renewing = False
            if done is not None:
                me.leases.left(leaving)

        me.renewing = True
        self.send(Way(lambda: self.store.release(me.mark, leaving), answer), fate)

    @rule(pick=st.integers(0, 3))
    def the_store_gets_a_request(self, pick: int) -> None:
        if self.requests:
            way = self.requests.pop(pick % len(self.requests))
            self.answers.append((way, way.run()))

    @rule(pick=st.integers(0, 3))
    def a_replica_gets_an_answer(self, pick: int) -> None:
        if self.answers:
            way, result = self.answers.pop(pick % len(self.answers))
            way.arrives(result)

    @invariant()
    def nobody_is_sure_of_what_another_is_sure_of(self) -> None:
        for room in ("a", "b"):
            sure = [
                me.mark
                for me in self.all
                if room in me.leases.held and self.store.now - me.sure.get(room, float("-inf")) < LEASE_S
            ]
            assert len(sure) <= 1, (room, sure)

    def teardown(self) -> None:
        """When the store answers again, each lease is held by exactly who believes to hold it."""
        for way in [*self.requests, *(way for way, _ in self.answers)]:
            way.arrives(None)
        late = list(self.store.rooms())
        for me in self.all:
            self.store.release(me.mark, dict(me.leases.leaving))
        for _ in range(2):
            for me in self.all:
                held = dict(me.leases.held)
                me.leases.renewed(held, self.store.beat(me.mark, held), asked=self.store.now)
            self.store.now += DOUBT_S
        believed = {room: me.mark for me in self.all for room in me.leases.held}
        assert sum(len(me.leases.held) for me in self.all) == len(believed)
        assert believed.items() <= self.store.rooms().items()
        assert self.store.rooms().keys() - believed <= set(late)
        self.store.now += LEASE_S
        assert self.store.rooms() == {}


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=250, stateful_step_count=40)
TestReplicas.__doc__ = (
    "Under any schedule never two replicas are sure of one room, and in the end belief and store agree."
)
