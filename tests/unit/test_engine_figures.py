"""What an engine reports: whatever comes and goes, the deltas add up to the totals."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import TICK_SAMPLES
from connector.audio.mixer import MixerFigures
from connector.audio.quality import CallQuality, QualityFigures
from connector.audio.ticks import TickFigures
from connector.base.catalog import ENGINE_KEYS, MEASURES
from connector.base.measures import Tally
from connector.engine.figures import COUNTERS, EngineFigures, LateShare, memory_mb, observe, totals
from connector.messages.outbox import Outbox
from connector.messages.types import EngineBeat, decode_to_control
from connector.millis.options import AgentFigures
from connector.room.figures import RoomFigures
from connector.session.core import CoreFigures
from connector.session.ledger import Ledger, numbers


class FakeSession:
    """A session whose agent leg counts packets and is replaced now and then."""

    def __init__(self) -> None:
        self.tally = Tally(MEASURES)
        self.quality = CallQuality()
        self.ledger = Ledger()
        self.agent = AgentFigures()
        self.ticks = TickFigures()

    def figures(self) -> dict[str, float]:
        return self.ledger.totals({"agent": self.agent}) | numbers("tick", self.ticks)

    def count(self, by: int) -> None:
        self.agent.packets_received += by
        self.ticks.ticks += by
        self.ticks.late += by // 2
        self.tally.count("millis_offers_total", "ok", by=by)

    def restart(self) -> None:
        self.ledger.close("agent", self.agent)
        self.agent = AgentFigures()


NAMES = ("s1", "s2", "s3")
STEPS = st.lists(
    st.tuples(st.sampled_from(("count", "restart", "end", "beat", "write")), st.sampled_from(NAMES), st.integers(0, 9)),
    max_size=60,
)


def counters_of(lines: bytes) -> list[Mapping[str, float]]:
    beats = [decode_to_control(line) for line in lines.splitlines()]
    return [beat.counters for beat in beats if isinstance(beat, EngineBeat)]


@given(STEPS)
def test_what_control_adds_up_is_what_the_sessions_counted(steps: list[tuple[str, str, int]]) -> None:
    """Under any order of starts, ends, leg restarts, beats and a slow pipe: nothing is lost, nothing counts twice."""
    engine, outbox = EngineFigures(), Outbox()
    sessions = {name: FakeSession() for name in NAMES}
    counted, received = 0, list[Mapping[str, float]]()

    def beat() -> None:
        for name, session in sessions.items():
            engine.look(name, session)
        outbox.put(EngineBeat(sessions=len(sessions), counters=engine.take()))

    for what, name, by in steps:
        match what:
            case "count":
                sessions[name].count(by)
                counted += by
            case "restart":
                sessions[name].restart()
            case "end":  # and one of the same name begins
                engine.end(name, sessions[name])
                sessions[name] = FakeSession()
            case "beat":
                beat()
            case _:
                received += counters_of(outbox.take())
    beat()
    received += counters_of(outbox.take())
    for key in ("rtp_packets_total|agent|in", "millis_offers_total|ok"):
        assert sum(counters.get(key, 0) for counters in received) == counted
    assert all(value > 0 for counters in received for value in counters.values())
    assert {key for counters in received for key in counters} <= ENGINE_KEYS


def test_every_counter_that_a_metric_is_made_of_exists() -> None:
    """No metric stands on a name that no part of a session counts under."""
    parts = {
        "agent": AgentFigures(),
        "room": RoomFigures(),
        "receive": ReceiveFigures(),
        "mix": MixerFigures(),
        "core": CoreFigures(),
        "tick": TickFigures(),
    }
    known = {name for part, figures in parts.items() for name in numbers(part, figures)}
    used = {counter for counters, _ in COUNTERS.values() for counter in counters}
    assert used <= known
    assert COUNTERS.keys() <= ENGINE_KEYS


def test_every_key_of_a_session_is_in_the_catalogue() -> None:
    """Also those that the session counts by itself and those that are observed once a second."""
    tally = Tally(MEASURES)
    figures = {f"{leg}.{name}": 20.0 for leg in ("agent", "room") for name in ("jitter_ms", "jitter_out_ms", "rtt_ms")}
    observe(figures, CallQuality(), tally)
    out = totals(figures, tally)
    assert out.keys() <= ENGINE_KEYS
    assert out["rtp_jitter_seconds|agent|in|0.025"] == 1
    assert out["rtp_jitter_seconds|room|out|0.025"] == 1
    assert out["rtp_rtt_seconds|agent|out|sum"] == pytest.approx(0.02)
    assert out["mixer_inputs|0"] == 1


def test_buffers_are_observed_while_audio_flows() -> None:
    """A delay counts for the direction that it was seen in, and not at all while there is none."""
    tally, quality = Tally(MEASURES), CallQuality()
    observe({}, quality, tally)
    assert not any(key.startswith("audio_buffer") for key in tally.counts)
    quality.reply_delay.add(0.03)
    quality.mix_wait.add(0.012)
    observe({"mix.inputs": 2}, quality, tally)
    assert tally.counts["audio_buffer_seconds|to_room|0.04"] == 1
    assert tally.counts["audio_buffer_seconds|to_agent|0.02"] == 1
    assert tally.counts["mixer_inputs|2"] == 1


def test_frames_are_counted_in_twenty_milliseconds() -> None:
    """Samples become frames; what is heard is what is not silence."""
    figures = {
        "mix.ticks": 100,
        "mix.silent_ticks": 30,
        "receive.real_samples": 40 * TICK_SAMPLES,
        "receive.restored_samples": TICK_SAMPLES,
        "core.filled_samples": 5 * TICK_SAMPLES,
        "tick.lateness.3": 7,
        "tick.late_s": 0.5,
    }
    out = totals(figures, Tally(MEASURES))
    assert out["audio_frames_total|to_agent|media"] == 70
    assert out["audio_frames_total|to_agent|silence"] == 30
    assert out["audio_frames_total|to_room|media"] == pytest.approx(41)
    assert out["audio_frames_total|to_room|silence"] == pytest.approx(5)
    assert out["mixer_tick_late_seconds|0.005"] == 7
    assert out["mixer_tick_late_seconds|sum"] == 0.5


def test_late_ticks_are_a_share_of_the_last_ten_beats() -> None:
    """All sessions together, skipped ticks among the late ones; what is older than ten beats does not count."""
    engine, session = EngineFigures(), FakeSession()
    session.ticks.ticks, session.ticks.late, session.ticks.skipped = 790, 5, 10
    engine.look("s1", session)
    engine.take()
    assert engine.late.share == pytest.approx(15 / 800)
    session.ticks.ticks += 200
    for _ in range(9):
        engine.look("s1", session)
        engine.take()
    assert engine.late.share == pytest.approx(15 / 1_000)
    engine.take()
    assert engine.late.share == 0.0


def test_a_hiccup_of_a_young_session_is_no_overload() -> None:
    """While there are fewer ticks than one session has in ten seconds the missing ones count as on time."""
    late = LateShare()
    late.add({"ticks": 50, "ticks_late": 2})
    assert late.share == pytest.approx(2 / 500)
    late.add({"ticks": 300, "ticks_late": 300})
    assert late.share == pytest.approx(302 / 500)


def test_no_ticks_are_not_late() -> None:
    """An engine without sessions is not overloaded."""
    late = LateShare()
    late.add({})
    assert late.share == 0.0


def test_memory_is_the_second_number_of_statm() -> None:
    """Resident pages times their size; what cannot be read is nothing."""
    assert memory_mb("25000 12000 4000 10 0 9000 0\n", 4096) == pytest.approx(49.152)
    assert memory_mb("", 4096) == 0.0


def test_quality_figures_are_flat() -> None:
    """Every figure of a call's sound reaches the summary under its name, where there is one."""
    flat = numbers("quality", CallQuality().figures())
    unknown = {"reply_delay_s", "reply_delay_most_s", "mix_wait_s", "mix_late_s", "mix_late_most_s"}
    assert {name.removeprefix("quality.") for name in flat} == set(QualityFigures.__dataclass_fields__) - unknown
