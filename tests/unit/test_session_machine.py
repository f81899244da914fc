"""The session machine: exact histories, and laws under any order of events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.base.ends import EndReason
from connector.base.errors import AgentLegError, RoomLegError
from connector.base.legs import (
    AgentHungUp,
    AgentLost,
    HumansChanged,
    RoomEncrypted,
    RoomLost,
    RoomRecovered,
    RoomRecovering,
)
from connector.session.events import (
    AgentClosed,
    AgentConnected,
    AgentFailed,
    AgentPrepared,
    Command,
    EndRequested,
    Event,
    LimitsChanged,
    OfferAccepted,
    RoomFailed,
    RoomJoined,
    RoomLegClosed,
    State,
    TimePassed,
)
from connector.session.machine import SessionMachine
from connector.session.plan import JoinMode, OnHangup, SessionPlan

PLAN = SessionPlan("s1", "lobby", leave_after_s=10, max_duration_s=600, reconnect_attempts=3, reconnect_within_s=120)
LOST = RoomLost(EndReason.LIVEKIT_UNREACHABLE, rejoin=True, detail="connection lost")


def rejected() -> AgentFailed:
    return AgentFailed(AgentLegError("401", reason=EndReason.AGENT_REJECTED))


def unreachable(*, ambiguous: bool = False) -> AgentFailed:
    error = AgentLegError("503", reason=EndReason.AGENT_UNREACHABLE, retryable=True, may_have_begun=ambiguous)
    return AgentFailed(error)


def machine(plan: SessionPlan = PLAN) -> SessionMachine:
    return SessionMachine(plan, 0.0, lambda: 0.5)


def live(plan: SessionPlan = PLAN) -> SessionMachine:
    """A machine that has gone through an untroubled start by t = 1."""
    m = machine(plan)
    for event in (AgentPrepared(), RoomJoined(1), OfferAccepted(), AgentConnected()):
        m.handle(event, 1.0)
    assert m.state is State.LIVE
    return m


def history(m: SessionMachine, *steps: tuple[Event, float]) -> list[tuple[State, list[Command]]]:
    out = []
    for event, now in steps:
        commands = m.handle(event, now)
        out.append((m.state, commands))
    return out


def test_an_untroubled_start() -> None:
    """The offer is prepared while joining, and posted once the room is joined."""
    m = machine()
    assert m.start() == [Command.JOIN_ROOM, Command.PREPARE_AGENT]
    steps = history(m, (AgentPrepared(), 0.1), (RoomJoined(1), 0.4), (OfferAccepted(), 0.6), (AgentConnected(), 0.7))
    assert steps == [
        (State.JOINING, []),
        (State.OFFERING, [Command.POST_OFFER]),
        (State.CONNECTING, [Command.CONNECT_AGENT]),
        (State.LIVE, []),
    ]


def test_a_slow_offer_waits_for_nothing_but_itself() -> None:
    """When the room is joined first, the offer is posted as soon as it is prepared."""
    m = machine()
    steps = history(m, (RoomJoined(1), 0.3), (AgentPrepared(), 0.5))
    assert steps == [(State.OFFERING, []), (State.OFFERING, [Command.POST_OFFER])]


def test_the_agent_is_closed_before_the_room() -> None:
    """An end closes the billed leg first, then the room, then finishes."""
    m = live()
    steps = history(m, (EndRequested(EndReason.REQUESTED), 2), (AgentClosed(), 2.1), (RoomLegClosed(), 2.2))
    assert steps == [
        (State.CLOSING, [Command.CLOSE_AGENT]),
        (State.CLOSING, [Command.CLOSE_ROOM_LEG]),
        (State.ENDED, [Command.FINISH]),
    ]
    assert m.reason is EndReason.REQUESTED


def test_the_first_reason_counts() -> None:
    """Whatever happens while closing changes nothing about the reason."""
    m = live()
    m.handle(EndRequested(EndReason.DRAINED), 2)
    assert history(m, (AgentHungUp(), 2.1), (LOST, 2.2)) == [(State.CLOSING, []), (State.CLOSING, [])]
    assert m.reason is EndReason.DRAINED


def test_an_empty_room_is_left_after_leave_after() -> None:
    """The last human leaving starts the wait; a human coming back stops it."""
    m = live()
    m.handle(HumansChanged(0), 10)
    assert m.next_deadline() == 20
    m.handle(HumansChanged(1), 15)
    assert history(m, (TimePassed(), 25)) == [(State.LIVE, [])]
    m.handle(HumansChanged(0), 30)
    assert history(m, (TimePassed(), 39.9), (TimePassed(), 40)) == [
        (State.LIVE, []),
        (State.CLOSING, [Command.CLOSE_AGENT]),
    ]
    assert m.reason is EndReason.ROOM_EMPTY


@pytest.mark.parametrize(
    ("mode", "had_human", "ends"),
    [
        (JoinMode.HUMAN, False, True),
        (JoinMode.REQUEST, False, False),
        (JoinMode.REQUEST, True, True),
        (JoinMode.ROOM, True, False),
    ],
)
def test_which_modes_end_with_the_humans(mode: JoinMode, had_human: bool, ends: bool) -> None:
    """`human` needs a human, `request` waits for the first one, `room` never minds an empty room."""
    m = machine(SessionPlan("s1", "lobby", join=mode, leave_after_s=10))
    m.handle(RoomJoined(int(had_human)), 1)
    m.handle(HumansChanged(0), 2)
    m.handle(TimePassed(), 100)
    assert (m.reason is EndReason.ROOM_EMPTY) is ends


def test_max_duration_ends_the_session() -> None:
    """A session never outlives its `max_duration`."""
    m = live()
    assert m.next_deadline() == 600
    m.handle(TimePassed(), 600)
    assert m.reason is EndReason.MAX_DURATION


@pytest.mark.parametrize(
    ("limit", "at", "deadline", "reason"),
    [
        (300, 200, 300, None),
        (300, 300, None, EndReason.MAX_DURATION),
        (300, 450, None, EndReason.MAX_DURATION),
        (900, 599, 900, None),
    ],
)
def test_another_max_duration_counts_from_the_start(
    limit: float, at: float, deadline: float | None, reason: EndReason | None
) -> None:
    """A shorter one that is over already ends the session at once; a longer one lets it go on."""
    m = live()
    commands = m.handle(LimitsChanged(10, limit), at)
    assert (m.next_deadline(), m.reason) == (deadline, reason)
    assert commands == ([Command.CLOSE_AGENT] if reason else [])


def test_another_leave_after_counts_from_when_the_room_became_empty() -> None:
    """A longer one moves the end of a wait that is under way, a shorter one that is over ends it at once."""
    m = live()
    m.handle(HumansChanged(0), 10)
    assert m.handle(LimitsChanged(60, 600), 15) == []
    assert m.next_deadline() == 70
    assert m.handle(TimePassed(), 20) == []
    assert m.handle(LimitsChanged(5, 600), 21) == [Command.CLOSE_AGENT]
    assert m.reason is EndReason.ROOM_EMPTY


def test_other_limits_do_not_start_a_wait() -> None:
    """While humans are there `leave_after` says nothing; while closing no limit does."""
    m = live()
    assert m.handle(LimitsChanged(0, 600), 15) == []
    assert m.next_deadline() == 600
    m.handle(EndRequested(EndReason.REQUESTED), 16)
    assert history(m, (LimitsChanged(0, 10), 17)) == [(State.CLOSING, [])]
    assert m.reason is EndReason.REQUESTED


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(10, 400), st.floats(0, 300)), min_size=1, max_size=8),
    st.floats(1, 9),
)
def test_the_last_limits_decide_as_if_they_had_always_held(
    changes: list[tuple[float, float, float]], empty_at: float
) -> None:
    """A session whose limits were changed has the deadline of one that had the last limits from its start."""
    m = live()
    m.handle(HumansChanged(0), empty_at)
    now = empty_at
    for leave_after, max_duration, wait in changes:
        now += wait
        m.handle(LimitsChanged(leave_after, max_duration), now)
        over = [now >= max_duration, now >= empty_at + leave_after]
        assert m.reason is (EndReason.MAX_DURATION if over[0] else EndReason.ROOM_EMPTY if over[1] else None)
        if m.reason is not None:
            return
    leave_after, max_duration, _ = changes[-1]
    assert m.next_deadline() == min(max_duration, empty_at + leave_after)


def test_a_rejected_agent_is_not_tried_again() -> None:
    """What Millis refuses for good ends the session at once."""
    m = machine()
    m.handle(AgentPrepared(), 0.1)
    m.handle(RoomJoined(1), 0.3)
    assert history(m, (rejected(), 0.5)) == [(State.CLOSING, [Command.CLOSE_AGENT])]
    assert m.reason is EndReason.AGENT_REJECTED


def test_an_ambiguous_failure_waits_five_seconds() -> None:
    """A try that may have begun a billed session is followed by a new offer after 5 s at the earliest."""
    m = machine()
    m.handle(AgentPrepared(), 0.1)
    m.handle(RoomJoined(1), 0.3)
    assert m.handle(unreachable(ambiguous=True), 10.0) == [Command.CLOSE_AGENT]
    assert m.handle(AgentClosed(), 10.1) == []
    assert m.next_deadline() == 15.0
    assert m.handle(TimePassed(), 14.9) == []
    assert m.handle(TimePassed(), 15.0) == [Command.PREPARE_AGENT]


def test_tries_are_used_up() -> None:
    """After the allowed tries within the window the session ends with the failure's reason."""
    m = machine()
    m.handle(AgentPrepared(), 0)
    m.handle(RoomJoined(1), 0)
    now = 0.0
    for _ in range(PLAN.reconnect_attempts):
        assert m.handle(unreachable(), now) == [Command.CLOSE_AGENT]
        m.handle(AgentClosed(), now)
        now += 6
        assert m.handle(TimePassed(), now) == [Command.PREPARE_AGENT]
        assert m.handle(AgentPrepared(), now) == [Command.POST_OFFER]
    m.handle(unreachable(), now)
    assert m.reason is EndReason.AGENT_UNREACHABLE


def test_a_lost_agent_is_called_again_at_once_and_ends_as_lost() -> None:
    """The first loss of a live leg is mended at once; when the tries are used up the reason is `agent_lost`."""
    m = live()
    assert m.handle(AgentLost("no_datagrams", "12 s"), 50) == [Command.CLOSE_AGENT]
    assert m.state is State.RECOVERING
    assert m.handle(AgentClosed(), 50) == [Command.PREPARE_AGENT]
    for now in (51, 58, 67):
        m.handle(AgentPrepared(), now)
        m.handle(unreachable(), now)
        m.handle(AgentClosed(), now)
        m.handle(TimePassed(), now + 6)
    assert m.reason is EndReason.AGENT_LOST


@pytest.mark.parametrize(
    ("policy", "closes_room"),
    [(OnHangup.LEAVE, False), (OnHangup.CLOSE_ROOM, True)],
)
def test_a_hang_up_ends_the_session(policy: OnHangup, closes_room: bool) -> None:
    """`leave` and `close_room` end on the agent's hang-up; only the latter closes the room."""
    m = live(SessionPlan("s1", "lobby", on_agent_hangup=policy))
    assert m.handle(AgentHungUp(), 5) == [Command.CLOSE_AGENT]
    assert (m.reason, m.delete_room) == (EndReason.AGENT_HANGUP, closes_room)


def test_rejoin_calls_the_agent_again_within_the_limit() -> None:
    """`rejoin` calls again after a hang-up, but never in an endless loop."""
    m = live(SessionPlan("s1", "lobby", on_agent_hangup=OnHangup.REJOIN, reconnect_attempts=1))
    assert m.handle(AgentHungUp(), 5) == [Command.CLOSE_AGENT]
    assert m.handle(AgentClosed(), 5) == [Command.PREPARE_AGENT]
    history(m, (AgentPrepared(), 5), (OfferAccepted(), 5), (AgentConnected(), 5))
    m.handle(AgentHungUp(), 6)
    assert m.reason is EndReason.AGENT_HANGUP


def test_a_short_loss_of_the_room_keeps_the_agent() -> None:
    """While the library restores the connection, and for up to 30 s of rejoining, the billed leg is kept."""
    m = live()
    assert history(m, (RoomRecovering(), 5), (RoomRecovered(full=True, gap_s=3), 8)) == [
        (State.RECOVERING, []),
        (State.LIVE, []),
    ]
    assert history(m, (LOST, 20), (RoomLegClosed(), 20)) == [
        (State.RECOVERING, [Command.CLOSE_ROOM_LEG]),
        (State.RECOVERING, []),
    ]
    assert m.handle(TimePassed(), 20.25) == [Command.JOIN_ROOM]
    m.handle(RoomJoined(1), 21)
    assert m.state is State.LIVE


def test_a_long_loss_of_the_room_gives_the_agent_up_and_calls_it_again() -> None:
    """After 30 s without a room the agent is hung up; it is called again once the room is back."""
    m = live()
    m.handle(LOST, 20)
    m.handle(RoomLegClosed(), 20)
    assert m.handle(TimePassed(), 50) == [Command.CLOSE_AGENT]
    assert m.handle(AgentClosed(), 50.1) == [Command.JOIN_ROOM]
    assert m.handle(RoomJoined(1), 51) == [Command.PREPARE_AGENT]


def test_a_room_that_stays_unreachable_ends_the_session() -> None:
    """Rejoining goes on with back-off for five minutes, then the session ends."""
    m = live()
    m.handle(LOST, 20)
    m.handle(RoomLegClosed(), 20)
    failed = RoomFailed(RoomLegError("refused", reason=EndReason.LIVEKIT_UNREACHABLE, retryable=True))
    joins = 0
    now = 20.0
    while m.reason is None:
        deadline = m.next_deadline()
        assert deadline is not None
        now = max(now, deadline)
        for command in m.handle(TimePassed(), now):
            if command is Command.JOIN_ROOM:
                joins += 1
                m.handle(failed, now)
            elif command is Command.CLOSE_AGENT:
                m.handle(AgentClosed(), now)
    assert (m.reason, now) == (EndReason.LIVEKIT_UNREACHABLE, 320.0)
    assert 20 < joins < 60


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (RoomLost(EndReason.REPLACED, rejoin=False, detail=""), EndReason.REPLACED),
        (RoomLost(EndReason.REMOVED, rejoin=False, detail=""), EndReason.REMOVED),
        (RoomLost(EndReason.ROOM_CLOSED, rejoin=False, detail=""), EndReason.ROOM_CLOSED),
        (RoomEncrypted(), EndReason.ROOM_ENCRYPTED),
    ],
)
def test_what_ends_a_room_ends_the_session(event: Event, reason: EndReason) -> None:
    """An eviction, a removal, a closed room and encryption end the session, the agent first."""
    m = live()
    assert m.handle(event, 5) == [Command.CLOSE_AGENT]
    assert m.reason is reason


def test_an_encrypted_room_is_refused_before_millis_is_called() -> None:
    """When the room is encrypted at joining, no offer is ever posted."""
    m = machine()
    m.handle(AgentPrepared(), 0.1)
    assert m.handle(RoomJoined(1, encrypted=True), 0.3) == [Command.CLOSE_AGENT]
    assert m.reason is EndReason.ROOM_ENCRYPTED


@pytest.mark.parametrize(
    ("event", "reason", "cause"),
    [
        (AgentFailed(AgentLegError("401", reason=EndReason.AGENT_REJECTED, cause="auth")), "agent_rejected", "auth"),
        (RoomFailed(RoomLegError("401", reason=EndReason.LIVEKIT_REJECTED, cause="auth")), "livekit_rejected", "auth"),
    ],
)
def test_the_end_of_a_first_try_has_the_cause_of_its_failure(event: Event, reason: str, cause: str) -> None:
    """Why a leg could not be set up stands beside the reason, as one word."""
    m = machine()
    m.handle(event, 1)
    assert (m.reason, m.cause) == (reason, cause)


def test_the_end_of_a_live_session_has_the_cause_of_its_loss() -> None:
    """What lost a leg stands beside the reason; an end that was wished for has no cause, whatever failed before."""
    plan = SessionPlan("s1", "lobby", reconnect_attempts=1)
    lost, wished, room = live(plan), live(plan), live(plan)
    for m in (lost, wished):
        m.handle(AgentLost("no_datagrams", "12 s"), 5)
        assert m.cause == "no_datagrams"
        history(m, (AgentClosed(), 5), (AgentPrepared(), 5), (OfferAccepted(), 5), (AgentConnected(), 5))
    lost.handle(AgentLost("agent_silence", "30 s"), 50)
    wished.handle(EndRequested(EndReason.REQUESTED), 50)
    room.handle(RoomLost(EndReason.REPLACED, rejoin=False, detail="", cause="duplicate_identity"), 50)
    assert (lost.reason, lost.cause) == (EndReason.AGENT_LOST, "agent_silence")
    assert (wished.reason, wished.cause) == (EndReason.REQUESTED, "")
    assert (room.reason, room.cause) == (EndReason.REPLACED, "duplicate_identity")


def test_a_room_that_stays_lost_ends_with_what_lost_it() -> None:
    """After five minutes of rejoining the cause is still that of the loss."""
    m = live()
    m.handle(RoomLost(EndReason.LIVEKIT_UNREACHABLE, rejoin=True, detail="", cause="server_shutdown"), 20)
    m.handle(RoomLegClosed(), 20)
    m.handle(TimePassed(), 320)
    assert (m.reason, m.cause) == (EndReason.LIVEKIT_UNREACHABLE, "server_shutdown")


def test_what_a_closed_leg_said_before_counts_no_more() -> None:
    """A late event of a leg that is being closed is ignored."""
    m = live()
    m.handle(AgentLost("no_datagrams", ""), 5)
    assert m.handle(AgentHungUp(), 5.1) == []
    assert m.reason is None


EVENTS: list[Event] = [
    RoomJoined(1),
    RoomJoined(0),
    RoomFailed(RoomLegError("x", reason=EndReason.LIVEKIT_UNREACHABLE, retryable=True)),
    RoomFailed(RoomLegError("x", reason=EndReason.LIVEKIT_REJECTED)),
    HumansChanged(0),
    HumansChanged(2),
    RoomRecovering(),
    RoomRecovered(full=False, gap_s=1),
    LOST,
    RoomLost(EndReason.REPLACED, rejoin=False, detail=""),
    AgentPrepared(),
    OfferAccepted(),
    AgentConnected(),
    unreachable(),
    unreachable(ambiguous=True),
    rejected(),
    AgentHungUp(),
    AgentLost("no_media", ""),
    TimePassed(),
    EndRequested(EndReason.REQUESTED),
    LimitsChanged(0, 60),
    AgentClosed(),
    RoomLegClosed(),
]


class Shell:
    """Answers commands as the real shell does, and counts what is open."""

    def __init__(self) -> None:
        self.agent_open = False
        self.room_open = False
        self.finished = 0
        self.pending: list[Event] = []

    def obey(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Command.PREPARE_AGENT:
                    assert not self.agent_open, "a second agent leg was opened beside the first"
                    self.agent_open = True
                case Command.JOIN_ROOM:
                    self.room_open = True
                case Command.POST_OFFER | Command.CONNECT_AGENT:
                    assert self.agent_open
                case Command.CLOSE_AGENT:
                    self.agent_open = False
                    self.pending.append(AgentClosed())
                case Command.CLOSE_ROOM_LEG:
                    self.room_open = False
                    self.pending.append(RoomLegClosed())
                case Command.FINISH:
                    assert not self.agent_open
                    assert not self.room_open
                    self.finished += 1


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 40)), max_size=60), st.sampled_from(OnHangup))
def test_any_order_of_events_keeps_the_laws(steps: list[tuple[Event, float]], policy: OnHangup) -> None:
    """Never two agent legs, nothing open at the end, one end with one reason, and an end can always be reached."""
    m = SessionMachine(SessionPlan("s", "r", on_agent_hangup=policy), 0.0, lambda: 0.5)
    shell = Shell()
    shell.obey(m.start())
    now = 0.0
    for event, wait in steps:
        if isinstance(event, AgentClosed | RoomLegClosed) and event not in shell.pending:
            continue
        if event in shell.pending:
            shell.pending.remove(event)
        now += wait
        shell.obey(m.handle(event, now))
    shell.obey(m.handle(EndRequested(EndReason.DRAINED), now))
    while shell.pending:
        shell.obey(m.handle(shell.pending.pop(0), now))
    assert m.state is State.ENDED
    assert shell.finished == 1
    assert m.reason is not None
    assert m.next_deadline() is None
