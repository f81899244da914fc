"""What an operator sees of a real call: its summary line, its log lines, its metrics."""

import json
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from connector.practice.livekit import LiveKitServer
from tests.e2e.room_scene import Scene
from tests.e2e.test_worker import agent
from tests.e2e.worker_scene import Worker

pytestmark = pytest.mark.e2e


async def scraped(worker: Worker) -> str:
    """The text of `/metrics`."""
    _, private = await worker.listening()
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{private}/metrics")
    assert answer.status_code == 200
    return answer.text


def read(text: str) -> dict[str, float]:
    """Every sample by its name and its label values in the order of the labels' names, as ``name|value|value``."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {"|".join([s.name.removeprefix("connector_"), *s.labels.values()]): s.value for s in samples}


async def test_a_call_in_figures(livekit: LiveKitServer, scene: Scene, room_name: str, tmp_path: Path) -> None:
    """One call with two speakers: the line at its end, the session's id on all its lines, and every metric of it."""
    async with agent() as practice, Worker(livekit, practice.url, room_name, tmp_path) as worker:
        people = [await scene.speaker(f"person-{number}", hz=hz) for number, hz in enumerate((440, 740))]
        await worker.live()
        before = practice.sessions[-1].packets
        await practice.until(lambda a: a.sessions[-1].packets > before + 300)
        during = read(await scraped(worker))
        assert during["sessions_active|live"] == 1
        assert during["engine_ready|0"] == 1
        assert during["engine_memory_bytes|0"] > 30e6
        for person in people:
            await person.leave()
        line = await worker.ended()
        text = await scraped(worker)
        while read(text)["livekit_disconnects_total|client_initiated"] < 1:  # the engine's next beat brings it
            text = await scraped(worker)
        lines = [json.loads(line) for line in worker.lines if line.startswith("{")]
    for name, least, most in (
        ("duration_s", 6, 60),
        ("joined_s", 0.001, 5),
        ("connected_s", 0.01, 8),
        ("first_audio_s", 0.02, 10),
        ("humans_most", 2, 2),
        ("heard_most", 2, 2),
        ("in_lost_pct", 0, 2),
        ("concealed_pct", 0, 5),
        ("room_in_lost_pct", 0, 2),
        ("mix_dbfs", -30, -3),
        ("reply_dbfs", -40, -3),
        ("reply_delay_ms", 0, 200),
        ("mix_late_ms", 0, 60),
        ("agent_failures", 0, 0),
        ("termination_failures", 0, 0),
    ):
        assert least <= line[name] <= most, (name, line)
    assert line["codec"] == "opus"
    about = [each for each in lines if each["event"] in {"room_joined", "session_started", "session_state"}]
    assert len(about) > 3
    assert {(each["session"], each["room"]) for each in about} == {(line["session"], room_name)}
    after = read(text)
    assert after["sessions_ended_total|room_empty|success"] == 1
    assert after["sessions_active|live"] == 0
    assert after["session_duration_seconds_count"] == 1
    assert after["millis_offers_total|ok"] == 1
    assert after["livekit_connects_total|ok"] == 1
    assert after["ice_state_total|agent|completed"] == 1
    assert after["ice_state_total|agent|closed"] == 1
    assert after["engines_lost_total"] == 0
    for stage in ("livekit_connect", "offer_http", "ice", "dtls", "first_agent_audio", "total"):
        assert after[f"stage_duration_seconds_count|{stage}"] == 1, stage
    for leg in ("agent", "room"):
        assert after[f"rtp_packets_total|in|{leg}"] > 50, leg
        assert after[f"rtp_packets_total|out|{leg}"] > 25, leg  # the greeting takes some 45; silence after it none
    for flow in ("to_agent", "to_room"):
        assert after[f"audio_frames_total|{flow}|media"] > 50, flow
        assert after[f"audio_buffer_seconds_count|{flow}"] > 0, flow
    assert after["mixer_tick_late_seconds_count"] > 300
    assert after["mixer_inputs_bucket|2"] > after["mixer_inputs_bucket|1"]
    assert after["event_loop_lag_seconds_count"] > 10
    assert after["control_loop_lag_seconds_count"] > 10
