"""What the room can read about us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connector.base.legs import AgentState
from connector.room import attributes
from connector.room.attributes import AttributeKeeper
from connector.room.figures import RoomFigures
from tests.until import until


class FakeOwn:
    """Our participant, with a server that takes attributes or does not."""

    def __init__(self) -> None:
        self.attributes: dict[str, str] = {}
        self.writes: list[dict[str, str]] = []
        self.takes = True
        self.answers = asyncio.Event()
        self.answers.set()

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        self.writes.append(attributes)
        await self.answers.wait()
        if self.takes:
            self.attributes |= attributes


@asynccontextmanager
async def keeping(keeper: AttributeKeeper, own: FakeOwn | None) -> AsyncIterator[None]:
    """A keeper at work."""
    task = asyncio.create_task(keeper.run(lambda: own))
    yield
    task.cancel()
    await asyncio.wait({task})


def keeper() -> tuple[AttributeKeeper, RoomFigures]:
    figures = RoomFigures()
    return AttributeKeeper("worker-1", figures, wall=lambda: 1_700_000_000.9), figures


async def test_the_values() -> None:
    """State, worker and beat in whole wall-clock seconds; the state is `initializing` at first."""
    keeper_, _ = keeper()
    assert keeper_.values() == {
        "lk.agent.state": "initializing",
        "connector.worker": "worker-1",
        "connector.beat": "1700000000",
    }


async def test_a_change_is_written_and_the_same_state_is_not() -> None:
    """A new state is written at once; setting it again writes nothing."""
    keeper_, figures = keeper()
    own = FakeOwn()
    async with keeping(keeper_, own):
        keeper_.set_state(AgentState.LISTENING)
        await until(lambda: own.attributes.get("lk.agent.state") == "listening")
        keeper_.set_state(AgentState.LISTENING)
        keeper_.set_state(AgentState.SPEAKING)
        await until(lambda: own.attributes["lk.agent.state"] == "speaking")
    assert (len(own.writes), figures.attribute_writes, figures.attribute_failures) == (2, 2, 0)


async def test_changes_during_a_write_are_coalesced() -> None:
    """However often the state changes while a write is under way, one more write follows, with the last one."""
    keeper_, _ = keeper()
    own = FakeOwn()
    own.answers.clear()
    async with keeping(keeper_, own):
        keeper_.set_state(AgentState.LISTENING)
        await until(lambda: len(own.writes) == 1)
        for state in (AgentState.SPEAKING, AgentState.LISTENING) * 20:
            keeper_.set_state(state)
        keeper_.set_state(AgentState.SPEAKING)
        own.answers.set()
        await until(lambda: own.attributes.get("lk.agent.state") == "speaking")
    assert len(own.writes) == 2


async def test_the_beat_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any change everything is written again each beat."""
    monkeypatch.setattr(attributes, "BEAT_S", 0.01)
    keeper_, _ = keeper()
    own = FakeOwn()
    async with keeping(keeper_, own):
        await until(lambda: len(own.writes) >= 2)
    assert own.writes[0]["connector.beat"] == "1700000000"


async def test_what_is_not_taken_is_counted_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that the server drops silently is noticed by reading back, counted, and the next change is written."""
    monkeypatch.setattr(attributes, "_READ_BACK_S", 0.02)
    keeper_, figures = keeper()
    own = FakeOwn()
    own.takes = False
    async with keeping(keeper_, own):
        keeper_.set_state(AgentState.LISTENING)
        await until(lambda: figures.attribute_failures == 1)
        own.takes = True
        keeper_.set_state(AgentState.SPEAKING)
        await until(lambda: own.attributes.get("lk.agent.state") == "speaking")
    assert figures.attribute_failures == 1


async def test_a_late_echo_counts_as_taken() -> None:
    """Attributes that the server tells a moment later are read back then."""
    keeper_, figures = keeper()
    own = FakeOwn()
    own.takes = False
    async with keeping(keeper_, own):
        keeper_.renew()
        await until(lambda: len(own.writes) == 1)
        own.attributes |= own.writes[0]
        keeper_.changed(own.attributes)
        keeper_.renew()
        await until(lambda: len(own.writes) == 2)
    assert figures.attribute_failures == 0


async def test_an_answer_that_never_comes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer a write does not hold up the keeper for ever."""
    monkeypatch.setattr(attributes, "_WRITE_S", 0.02)
    keeper_, figures = keeper()
    own = FakeOwn()
    own.answers.clear()
    async with keeping(keeper_, own):
        keeper_.renew()
        await until(lambda: figures.attribute_failures == 1)
        assert own.attributes == {}


async def test_a_call_that_comes_back_late_holds_nothing_up() -> None:
    """Once the server shows the values the write is done, whether the library says so or not."""
    keeper_, figures = keeper()
    own = FakeOwn()
    own.answers.clear()
    async with keeping(keeper_, own):
        keeper_.set_state(AgentState.LISTENING)
        await until(lambda: len(own.writes) == 1)
        own.attributes |= own.writes[0]
        keeper_.changed(own.attributes)
        keeper_.set_state(AgentState.SPEAKING)
        await until(lambda: len(own.writes) == 2, 2)
    assert figures.attribute_failures == 0


async def test_without_a_connection_nothing_is_written() -> None:
    """While there is no participant of ours a change waits for the renewal after the reconnect."""
    keeper_, figures = keeper()
    async with keeping(keeper_, None):
        keeper_.set_state(AgentState.LISTENING)
        for _ in range(3):
            await asyncio.sleep(0)
    assert figures.attribute_writes == 0


async def test_a_question_is_answered_once() -> None:
    """A question among our attributes is repeated as the answer, together with the others; once."""
    keeper_, _ = keeper()
    own = FakeOwn()
    async with keeping(keeper_, own):
        keeper_.changed({"connector.ask": "nonce-1"})
        await until(lambda: own.attributes.get("connector.answer") == "nonce-1")
        keeper_.changed({**own.attributes, "connector.ask": "nonce-1"})
        keeper_.changed({**own.attributes, "connector.ask": "nonce-2"})
        await until(lambda: own.attributes["connector.answer"] == "nonce-2")
    assert len(own.writes) == 2
    assert own.attributes == keeper_.values()


@pytest.mark.parametrize("ask", ["", "x" * 65, "line\nbreak", "\x1b[31m"])
async def test_only_a_short_printable_text_is_repeated(ask: str) -> None:
    """Whoever may set our attributes can make us repeat 64 printable characters, and nothing else."""
    keeper_, _ = keeper()
    keeper_.changed({"connector.ask": ask})
    assert "connector.answer" not in keeper_.values()
