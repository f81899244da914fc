"""The worker as an operator runs it: real livekit-server, real processes, the practice agent in place of Millis."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest

from connector.audio.frames import RATE_HZ, Samples
from connector.base.secrets import Secret
from connector.practice.agent import PracticeAgent, PracticeOptions
from connector.practice.agent_call import Habits
from connector.practice.agent_faults import parse_fault
from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import TONE_DBFS, Scene, tone_dbfs
from tests.e2e.worker_scene import KEY, Worker
from tests.until import until

TONES_HZ = (440, 587, 740, 932, 1175, 1480, 1865, 2349)
ABSENT_HZ = 1046


def agent(*faults: str, habits: Habits | None = None) -> PracticeAgent:
    """A practice agent that greets with a tone, unless told otherwise."""
    return PracticeAgent(
        PracticeOptions(
            key=Secret(KEY),
            habits=habits or Habits(greeting="tone", reply="none"),
            faults=tuple(parse_fault(fault) for fault in faults),
        )
    )


def heard(practice: PracticeAgent) -> Samples:
    """The last second of what the agent heard in its newest call."""
    recording = practice.sessions[-1].heard
    return np.zeros(0, np.int16) if recording is None else recording.samples[-RATE_HZ:]


@pytest.mark.parametrize("people", [1, 2, 3, 8])
async def test_the_agent_hears_exactly_who_speaks(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path, people: int
) -> None:
    """Each tone and no other is in what the agent received, 30 dB above nobody's; one alone within 0.5 dB."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        for number, hz in enumerate(TONES_HZ[:people]):
            await scene.speaker(f"person-{number}", hz=hz)
        await worker.live()

        def named() -> set[int]:
            levels = {hz: tone_dbfs(heard(practice), hz) for hz in (*TONES_HZ, ABSENT_HZ)}
            return {hz for hz, level in levels.items() if level > max(levels[ABSENT_HZ] + 30, -60)}

        await until(lambda: named() == set(TONES_HZ[:people]), within_s=20)
        if people == 1:
            await until(lambda: abs(tone_dbfs(heard(practice), TONES_HZ[0]) - TONE_DBFS) <= 0.5)


async def test_a_call_from_join_to_leave(livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path) -> None:
    """A human joins and hears the agent; the last one leaves and the session ends; SIGTERM then exits with 0."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        ada = await scene.speaker("ada", hear=True)
        await worker.live()

        def hears_the_agent() -> bool:
            ear = ada.heard_from("millis-agent")
            recording = None if ear is None else ear.recorder.recording()
            return recording is not None and bool(np.abs(recording.samples).max(initial=0) > 500)

        await until(hears_the_agent)
        await ada.leave()
        ended = await worker.ended()
        assert (ended["reason"], ended["result"]) == ("room_empty", "success")
        assert ended["humans_most"] == 1
        await practice.until(lambda a: not a.live)
        assert (practice.offers, practice.most_at_once) == (1, 1)
        assert await scene.listed() == {}
        worker.signal(signal.SIGTERM)
        assert await worker.exit_code() == 0
        assert not any("Traceback" in line for line in worker.lines)


async def test_a_drain_lets_the_call_finish(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """After SIGTERM the call goes on until its last human leaves; a second signal would end it at once."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        ada = await scene.speaker("ada", hz=440)
        await worker.live()
        worker.signal(signal.SIGTERM)
        await worker.until(lambda w: bool(w.events("draining")))
        before = practice.sessions[-1].packets
        await practice.until(lambda a: a.sessions[-1].packets > before + 50)
        await ada.leave()
        assert (await worker.ended())["reason"] == "room_empty"
        assert await worker.exit_code() == 0


async def test_a_killed_engine_is_replaced_and_its_room_served_again(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """A kill -9 of the engine ends the session as `engine_lost`; a new engine serves the room again."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        await scene.speaker("ada", hz=440)
        await worker.live()
        (engine,) = worker.engines
        engine.kill()
        assert (await worker.ended())["reason"] == "engine_lost"
        await worker.live(times=2)
        await practice.until(lambda a: len(a.sessions) == 2 and a.sessions[-1].live)


async def test_a_hung_engine_is_ended_and_its_room_served_again(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """An engine that says nothing for 5 s is killed by control; its room is served again."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        await scene.speaker("ada", hz=440)
        await worker.live()
        (engine,) = worker.engines
        engine.send_signal(signal.SIGSTOP)
        assert (await worker.ended())["reason"] == "engine_lost"
        assert worker.events("engine_silent")
        await worker.live(times=2)


async def test_a_frozen_worker_ends_its_engine_when_it_thaws(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """When the whole worker stood still for over 5 s, the engine ends itself with its first breath."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        await scene.speaker("ada", hz=440)
        await worker.live()
        (engine,) = worker.engines
        worker.signal(signal.SIGSTOP)
        engine.send_signal(signal.SIGSTOP)
        await until(lambda: engine.status() == "stopped")
        thaw_at = time.monotonic() + 6
        await until(lambda: time.monotonic() > thaw_at)
        engine.send_signal(signal.SIGCONT)
        await until(lambda: engine.status() in ("zombie", "dead"))
        worker.signal(signal.SIGCONT)
        assert (await worker.ended())["reason"] == "engine_lost"
        (lost,) = worker.events("engine_lost")
        assert lost["exit_code"] == 70
        assert any("stood still" in line for line in worker.lines)
        await worker.live(times=2)


@pytest.mark.parametrize(
    ("fault", "reason", "words", "why"),
    [
        ("status=401", "agent_rejected", "MILLIS_PRIVATE_KEY", "circuit_open"),
        ("status=404", "agent_rejected", "agent", "rejected"),
    ],
)
async def test_what_millis_refuses_ends_with_one_clear_reason(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path, fault: str, reason: str, words: str, why: str
) -> None:
    """A refusal ends the session with its reason and a remedy; the room is left, and not tried again in a loop."""
    async with agent(fault) as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        await scene.speaker("ada", hz=440)
        ended = await worker.ended()
        assert (ended["reason"], ended["result"]) == (reason, "client_error")
        assert words in ended["detail"]
        await scene.only("ada")
        offers = practice.offers
        await worker.until(lambda w: any(e["why"] == why for e in w.events("room_not_served")))
        assert practice.offers == offers


async def test_a_hang_up_can_close_the_room(
    livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path
) -> None:
    """With `on_agent_hangup: close_room` the agent's hang-up disconnects everybody."""
    async with agent() as practice:
        worker = Worker(livekit, practice.url, room_name, tmp_path, defaults="on_agent_hangup: close_room")
        async with worker:
            await scene.speaker("ada", hz=440)
            await worker.live()
            await practice.hang_up(practice.sessions[-1])
            assert (await worker.ended())["reason"] == "agent_hangup"
            await scene.only()


@pytest.mark.parametrize(
    ("environ", "code", "words"),
    [
        ({"LIVEKIT_API_SECRET": "wrong" * 10}, 78, "LIVEKIT_API_SECRET"),
        ({"LIVEKIT_API_KEY": ""}, 78, "LIVEKIT_API_KEY"),
        ({"LIVEKIT_URL": "ftp://127.0.0.1"}, 78, "LIVEKIT_URL"),
        ({"MILLIS_URL": "http://api.example.com"}, 78, "MILLIS_URL"),
    ],
)
async def test_a_wrong_setting_is_one_clear_line(
    livekit: LiveKitServer, room_name: str, tmp_path: Path, environ: dict[str, str], code: int, words: str
) -> None:
    """A wrong key or URL ends the start with exit code 78 and a line that names the setting; no secret is shown."""
    async with Worker(livekit, "http://127.0.0.1:9", room_name, tmp_path, environ=environ) as worker:
        assert await worker.exit_code() == code
    last = worker.lines[-1]
    assert words in last
    assert "Traceback" not in "".join(worker.lines)
    assert "wrongwrong" not in "".join(worker.lines)
