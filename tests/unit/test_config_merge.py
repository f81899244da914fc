"""How a rule inherits from the defaults."""

from hypothesis import given
from hypothesis import strategies as st

from connector.config.merge import inherit
from connector.config.model import (
    AgentLookUp,
    JoinMode,
    Listen,
    LookUp,
    Participant,
    Reconnect,
    RoomRule,
    RuleSettings,
)

MAP = AgentLookUp(source=LookUp.ROOM_METADATA, key="k", map={"a": "b"})
ALLOW = AgentLookUp(source=LookUp.PARTICIPANT_ATTRIBUTE, key="l", allow=("c",))


def test_what_a_rule_does_not_say_the_defaults_say() -> None:
    """And what neither says is built in."""
    merged = inherit(RoomRule(room="r"), RuleSettings(agent="a", join=JoinMode.ROOM))
    assert merged == RoomRule(room="r", agent="a", join=JoinMode.ROOM)


def test_what_a_rule_says_stays() -> None:
    """Also where it says what is built in anyway."""
    assert inherit(RoomRule(room="r", min_humans=1), RuleSettings(min_humans=3)).min_humans == 1


def test_blocks_merge_key_by_key() -> None:
    """Each of the three blocks; lists and free mappings are taken or left whole."""
    rule = RoomRule(
        room="r",
        participant=Participant(name="n"),
        listen=Listen(include=("x",), gain_db={"x": 1}),
        reconnect=Reconnect(attempts=1),
        metadata={"a": 1},
    )
    defaults = RuleSettings(
        participant=Participant(identity="i", name="m"),
        listen=Listen(exclude=("y",), gain_db={"y": 2}),
        reconnect=Reconnect(within=9),
        metadata={"b": 2},
    )
    merged = inherit(rule, defaults)
    assert merged.participant == Participant(identity="i", name="n")
    assert merged.listen == Listen(include=("x",), exclude=("y",), gain_db={"x": 1})
    assert merged.reconnect == Reconnect(attempts=1, within=9)
    assert merged.metadata == {"a": 1}


def test_an_agent_is_one_value() -> None:
    """A look-up never mixes with another one: two limits at once would be wrong."""
    assert inherit(RoomRule(room="r", agent=MAP), RuleSettings(agent=ALLOW)).agent == MAP
    assert inherit(RoomRule(room="r", agent="a"), RuleSettings(agent=ALLOW)).agent == "a"
    assert inherit(RoomRule(room="r"), RuleSettings(agent=ALLOW)).agent == ALLOW


SETTINGS = st.builds(
    RuleSettings,
    min_humans=st.integers(1, 3),
    listen=st.builds(Listen, exclude=st.just(("x",))) | st.just(Listen()),
    reconnect=st.builds(Reconnect, attempts=st.integers(0, 2)),
)


@given(SETTINGS)
def test_inheriting_twice_changes_nothing_more(defaults: RuleSettings) -> None:
    """The merged rule has everything that the defaults say; so has one that says the same itself."""
    once = inherit(RoomRule(room="r"), defaults)
    assert inherit(once, defaults) == once
    assert once == RoomRule(room="r", **dict(defaults))


def test_defaults_that_say_nothing_change_nothing() -> None:
    """An empty block of defaults is none."""
    rule = RoomRule(room="r", agent="a", leave_after=3)
    assert inherit(rule, RuleSettings()) == rule
