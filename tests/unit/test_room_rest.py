"""Silence between what the agent says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from connector.audio.frames import TICK_SAMPLES
from connector.room import rest as rest_module
from connector.room.rest import PIECE_SAMPLES, Rest
from tests.until import until


class Line:
    """Counts the silence that it was given."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.cleared = 0

    def silence(self, samples: int) -> bool:
        self.pieces.append(samples)
        return True

    def clear(self) -> None:
        self.cleared += 1


class Scene:
    def __init__(self) -> None:
        self.line = Line()
        self.rest = Rest(self.line)


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    scene.rest.close()


async def test_before_the_agent_ever_spoke_nothing_is_pushed(scene: Scene) -> None:
    """A track on which nothing was heard yet has no timestamps that could fall behind."""
    scene.rest.begin()
    assert scene.line.pieces == []


async def test_a_pause_is_filled_from_its_first_moment(scene: Scene) -> None:
    """When the agent pauses, 20 ms and a piece of silence stand behind its last frame, and pieces go on."""
    scene.rest.speak()
    scene.rest.begin()
    assert scene.line.pieces == [TICK_SAMPLES, PIECE_SAMPLES]
    await until(lambda: len(scene.line.pieces) >= 4)
    assert set(scene.line.pieces[1:]) == {PIECE_SAMPLES}


async def test_silence_flows_at_the_rate_of_sound(scene: Scene) -> None:
    """Pieces follow each other on a lattice of 100 ms, so that the queue neither dries up nor grows."""
    loop = asyncio.get_running_loop()
    scene.rest.speak()
    begun = loop.time()
    scene.rest.begin()
    await until(lambda: len(scene.line.pieces) == 7)
    assert loop.time() - begun >= 0.5


async def test_what_is_left_of_the_silence_is_dropped_when_the_agent_speaks(scene: Scene) -> None:
    """The first frame of a reply does not wait behind silence; while it speaks nothing is dropped."""
    scene.rest.speak()
    scene.rest.begin()
    scene.rest.speak()
    assert scene.line.cleared == 1
    scene.rest.speak()
    assert scene.line.cleared == 1


async def test_a_stream_that_just_stops_is_filled_too(scene: Scene) -> None:
    """When nothing is pushed for 40 ms, silence begins without being told."""
    scene.rest.speak()
    await until(lambda: len(scene.line.pieces) >= 2)
    assert scene.line.pieces[:2] == [TICK_SAMPLES, PIECE_SAMPLES]


async def test_a_long_pause_costs_nothing_in_the_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its limit the filling ends by itself, and begins again with the next reply."""
    monkeypatch.setattr(rest_module, "REST_S", 0.25)
    scene.rest.speak()
    scene.rest.begin()
    await until(lambda: scene.rest._timer is not None and scene.rest._timer.cancelled())
    assert scene.line.pieces == [TICK_SAMPLES, *[PIECE_SAMPLES] * 3]
    scene.rest.speak()
    scene.rest.begin()
    assert scene.line.pieces[-2:] == [TICK_SAMPLES, PIECE_SAMPLES]
