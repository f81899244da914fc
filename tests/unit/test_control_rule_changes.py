"""What a reload means for running sessions, and what is said about it."""

from hypothesis import given
from hypothesis import strategies as st

from connector.config.load import load_text
from connector.config.model import Config, JoinMode, Listen, Participant, RoomRule
from connector.config.rules import RuleBook
from connector.control.rule_changes import (
    LIVE_KEYS,
    ReloadReport,
    SessionChange,
    SessionUpdate,
    in_force,
    reload_report,
    session_updates,
)
from connector.messages.types import UpdateSession

RULE = RoomRule(room="call-*", agent="x", leave_after=30.0)


def judge(*rules: RoomRule, running: RoomRule = RULE) -> SessionUpdate:
    return session_updates(rules, {"call-1": running})["call-1"]


def test_live_keys_are_what_an_update_carries() -> None:
    """The model's mark and the message agree."""
    assert set(LIVE_KEYS) == {"listen", "leave_after", "max_duration"}
    carried = {name.removesuffix("_s") for name in UpdateSession.model_fields}
    assert carried - {"type", "session_id"} == set(LIVE_KEYS)


def test_the_same_rules_change_nothing() -> None:
    """What differs only for the next session leaves a running one alone."""
    other = RULE.model_copy(update={"agent": "y", "min_humans": 2, "participant": Participant(identity="z")})
    assert judge(RULE) == judge(other) == SessionUpdate(SessionChange.UNCHANGED, RULE)


def test_live_keys_reach_a_running_session_and_nothing_else_does() -> None:
    """The rule in force afterwards has the new live keys and keeps its agent."""
    listen = Listen(exclude=("recorder-*",))
    new = RULE.model_copy(update={"agent": "y", "leave_after": 5.0, "max_duration": 60.0, "listen": listen})
    expected = RULE.model_copy(update={"leave_after": 5.0, "max_duration": 60.0, "listen": listen})
    assert judge(new) == SessionUpdate(SessionChange.UPDATE, expected)


def test_the_order_of_gains_counts() -> None:
    """The first pattern that matches applies, so the same gains in another order are a change."""
    one = RULE.model_copy(update={"listen": Listen(gain_db={"a*": 3.0, "*": 0.0})})
    other = RULE.model_copy(update={"listen": Listen(gain_db={"*": 0.0, "a*": 3.0})})
    assert judge(one, running=other).change is SessionChange.UPDATE


def test_a_room_that_no_rule_wants_is_orphaned() -> None:
    """A rule that is gone, or that says never, ends the session after the leave_after that it has."""
    assert judge() == SessionUpdate(SessionChange.ORPHANED, RULE)
    never = RoomRule(room="call-1", join=JoinMode.NEVER, leave_after=1.0)
    assert judge(never, RULE) == SessionUpdate(SessionChange.ORPHANED, RULE)


def test_another_rule_can_take_a_room_over() -> None:
    """The first rule that matches decides, also when it is not the one that the session was started by."""
    above = RoomRule(room="call-1", agent="z", leave_after=1.0)
    assert judge(above, RULE).rule == RULE.model_copy(update={"leave_after": 1.0})


RULES = st.lists(
    st.builds(
        RoomRule,
        room=st.sampled_from(["a", "b", "a*", "?", "*"]),
        agent=st.sampled_from(["x", "y"]),
        join=st.sampled_from(JoinMode),
        leave_after=st.sampled_from([0.0, 10.0]),
        max_duration=st.sampled_from([60.0, 600.0]),
        listen=st.sampled_from([Listen(), Listen(exclude=("r*",)), Listen(gain_db={"a": 1.0, "b": 2.0})]),
    ),
    max_size=5,
)
RUNNING = st.dictionaries(st.sampled_from(["a", "b", "ab", "c"]), RULES.filter(bool).map(lambda rules: rules[0]))


@given(RULES, RUNNING)
def test_laws_of_a_reload(rules: list[RoomRule], running: dict[str, RoomRule]) -> None:
    """Every session is judged; live keys follow the deciding rule, all others stay; the same again is nothing."""
    updates = session_updates(rules, running)
    assert updates.keys() == running.keys()
    book = RuleBook(rules)
    for room, update in updates.items():
        new, old = book.match(room), running[room]
        wanted = new is not None and new.join is not JoinMode.NEVER
        assert (update.change is SessionChange.ORPHANED) is not wanted
        assert (update.change is SessionChange.UPDATE) is (update.rule != old)
        for key in RoomRule.model_fields:
            source = new if new is not None and wanted and key in LIVE_KEYS else old
            assert getattr(update.rule, key) == getattr(source, key)
    again = session_updates(rules, {room: update.rule for room, update in updates.items()})
    assert {room: update.rule for room, update in again.items()} == {r: update.rule for r, update in updates.items()}
    assert SessionChange.UPDATE not in {update.change for update in again.values()}


@given(RULES, RULES, RUNNING)
def test_a_reload_that_is_taken_back_leaves_no_trace(
    before: list[RoomRule], between: list[RoomRule], running: dict[str, RoomRule]
) -> None:
    """What matters is the newest file: with a wrong one in between every wanted session runs by the same rule."""
    direct = session_updates(before, running)
    detour = session_updates(before, {room: u.rule for room, u in session_updates(between, running).items()})
    wanted = [room for room, update in direct.items() if update.change is not SessionChange.ORPHANED]
    assert [direct[room].rule for room in wanted] == [detour[room].rule for room in wanted]


FILE = """
livekit: {url: "wss://a.b"}
millis: {url: "https://a.b"}
worker: {listen: "0.0.0.0:8080"}
rooms:
  - {room: "a", agent: "x"}
  - {room: "b*", agent: "x"}
"""


def config(*edits: tuple[str, str]) -> Config:
    text = FILE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return load_text(text, environ={}).config


def test_a_report_says_what_applies_when() -> None:
    """Rules that came and went, live keys, keys for the next session, and what needs a restart."""
    new = config(
        ('room: "a", agent: "x"', 'room: "c", agent: "x"'),
        ('room: "b*", agent: "x"', 'room: "b*", agent: "y", listen: {gain_db: {"p": 3}}, leave_after: "1s"'),
        ("wss://a.b", "wss://c.d"),
        (":8080", ":8081"),
    )
    assert reload_report(config(), config(), new) == ReloadReport(
        added=("c",),
        removed=("a",),
        live=("b*.leave_after", "b*.listen.gain_db"),
        next_session=("b*.agent",),
        restart=("livekit.url", "worker.listen"),
    )


def test_a_report_of_nothing_is_empty() -> None:
    """The same file has nothing to report; another order of rules has."""
    assert reload_report(config(), config(), config()) == ReloadReport()
    turned = config(('room: "a"', 'room: "z"'), ('room: "b*"', 'room: "a"'), ('room: "z"', 'room: "b*"'))
    assert reload_report(config(), config(), turned) == ReloadReport(reordered=True)


def test_a_restart_is_needed_for_what_differs_from_the_start() -> None:
    """It is named until the file is as it was at the start, whatever the last version said."""
    changed = config((":8080", ":8081"))
    assert reload_report(config(), changed, changed).restart == ("worker.listen",)
    assert reload_report(config(), changed, config()).restart == ()


def test_what_needs_a_restart_is_not_in_force() -> None:
    """Rules come into force, the worker and its URLs stay as they were."""
    new = config((":8080", ":8081"), ('agent: "x"', 'agent: "y"'), ("wss://a.b", "wss://c.d"))
    assert in_force(config(), new) == config(('agent: "x"', 'agent: "y"'))
