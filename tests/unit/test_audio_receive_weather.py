"""The receive path under whole networks, for a minute of virtual time each: the figures of `facts/aiortc.md` §5."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import RATE_HZ, TICK_SAMPLES, TICK_SECONDS, MediaPacket
from connector.audio.receive import ReceivePath
from connector.base.legs import AudioCodec
from tests.network import Arrival, Heard, MarkedDecoder, delayed, gaps_ms, lossy, marked, packets, run

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a minute of speech.

    Attributes:
        real: Share of it that was played as decoded or restored.
        delay_p50_ms: Median delay.
        delay_p95_ms: 95th percentile of the delay.
        heard: What came out.
        figures: What was counted.
    """

    real: float
    delay_p50_ms: float
    delay_p95_ms: float
    heard: Heard
    figures: ReceiveFigures

    def has_no_gap(self) -> bool:
        """Neither in what was handed on nor as a listener with 70 ms of play-out plays it."""
        count = round((SECONDS - 0.5) * RATE_HZ)
        return gaps_ms(self.heard.audio[:count]) == gaps_ms(self.heard.listened()[:count]) == []


def weather(arrivals: list[Arrival], *, phase: float = 0.007) -> Result:
    receive = ReceivePath(AudioCodec.OPUS, start=0.0)
    heard = run(receive, arrivals, until=SECONDS + 1, phase=phase)
    delays = [delay for at, delay in heard.delays if 2 < at < SECONDS]
    figures = receive.figures
    real = (figures.real_samples + figures.restored_samples) / (SECONDS * RATE_HZ)
    return Result(real, float(np.median(delays)), float(np.percentile(delays, 95)), heard, figures)


def test_without_loss_everything_is_real_and_nothing_waits() -> None:
    """A calm network: all audio real, no delay, no concealment but the fading end."""
    result = weather(packets(SECONDS))
    assert result.real == 1
    assert result.delay_p95_ms == pytest.approx(0, abs=0.01)
    assert result.heard.seconds == pytest.approx(SECONDS + 0.1)
    assert result.has_no_gap()


@pytest.mark.parametrize(
    ("share", "least_real", "seed"), [*((0.05, 0.99, seed) for seed in range(5)), (0.01, 0.998, 0), (0.10, 0.98, 0)]
)
def test_independent_loss_is_restored(share: float, least_real: float, seed: int) -> None:
    """Of speech with 1, 5 or 10 % of its packets lost nearly all is real, without a gap and without delay."""
    result = weather(lossy(packets(SECONDS), share, seed))
    assert result.figures.lost == pytest.approx(share * 3000, rel=0.35)
    assert result.real >= least_real
    assert result.delay_p50_ms == pytest.approx(0, abs=0.01)
    assert result.delay_p95_ms <= 20.1
    assert result.figures.mode_switches == 0
    assert result.heard.seconds == pytest.approx(SECONDS + 0.1, abs=0.06)
    assert result.has_no_gap()


def test_loss_without_fec_is_concealed_in_step() -> None:
    """A sender without FEC loses what is lost, but no gap is heard and the time is kept."""
    result = weather(lossy(packets(SECONDS, fec=False), 0.05, 0))
    assert result.real + result.figures.concealed_samples / (SECONDS * RATE_HZ) == pytest.approx(1, abs=1e-3)
    assert result.real >= 0.93
    assert result.has_no_gap()


@pytest.mark.parametrize("seed", range(2))
def test_bursts_of_three_are_bridged(seed: int) -> None:
    """5 % lost three at a time: a third of it comes back, the rest is concealed, no gap, no delay left."""
    result = weather(lossy(packets(SECONDS), 0.05, seed, burst=3))
    assert result.real >= 0.94
    assert result.delay_p50_ms == pytest.approx(0, abs=0.01)
    assert result.heard.seconds == pytest.approx(SECONDS + 0.1, abs=0.06)
    assert result.has_no_gap()


@pytest.mark.parametrize("phase", [0.0, 0.007, 0.0149])
@pytest.mark.parametrize(("loss", "least_real"), [(0.0, 0.998), (0.05, 0.985)])
def test_jitter_is_taken_up_by_the_clocked_buffer(loss: float, least_real: float, phase: float) -> None:
    """Delays of 0 to 40 ms, with and without loss: all of it is real at a delay of 60 ms, at any phase of the tick."""
    sent = lossy(packets(SECONDS), loss, 2) if loss else packets(SECONDS)
    result = weather(delayed(sent, lambda random: random.uniform(0, 0.040), 1), phase=phase)
    assert result.figures.clocked
    assert result.figures.mode_switches == 1
    assert result.figures.target_ms == pytest.approx(58, abs=3)
    assert result.real >= least_real
    assert 45 <= result.delay_p50_ms <= 75
    assert result.delay_p95_ms <= 80
    assert result.has_no_gap()


@pytest.mark.parametrize("late_s", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(2))
def test_a_few_very_late_packets_add_no_delay(late_s: float, seed: int) -> None:
    """1 % of packets 100 to 500 ms late: no buffer would have waited for them, so they are restored in passing."""
    sent = packets(SECONDS)
    before = weather(sent)
    result = weather(delayed(sent, lambda random: late_s * (random.random() < 0.01), seed))
    assert result.figures.late >= 15
    assert result.real >= 0.998
    assert result.delay_p95_ms <= before.delay_p95_ms + 20
    assert result.has_no_gap()


def test_late_packets_with_loss_and_jitter_leave_no_lasting_delay() -> None:
    """Within five seconds of the last late packet the delay is at most 40 ms above what it was before."""
    sent = packets(SECONDS)
    rough = delayed(
        lossy(sent[500:2000], 0.02, 4),
        lambda random: random.choice([0.0, 0.03, 0.06, 0.2], p=[0.9, 0.05, 0.04, 0.01]),
        4,
    )
    result = weather(sent[:500] + [arrival for arrival in rough if arrival[0] < 40] + sent[2000:])
    before = max(delay for at, delay in result.heard.delays if 5 < at < 10)
    after = [delay for at, delay in result.heard.delays if 45.0 < at < SECONDS]
    assert result.figures.mode_switches >= 2
    assert all(delay <= before + 40 for delay in after)
    assert not result.figures.clocked
    assert result.has_no_gap()


@pytest.mark.parametrize(
    "frame_delay", [lambda index: 0.025 if index % 7 == 3 else 0.0, lambda index: 0.045 * (index % 3 == 0)]
)
def test_reordering_is_put_right(frame_delay: Callable[[int], float]) -> None:
    """Packets that overtake each other again and again are all played, in order."""
    sent = [(at + frame_delay(index), packet) for index, (at, packet) in enumerate(packets(SECONDS))]
    result = weather(sorted(sent, key=lambda arrival: arrival[0]))
    assert result.figures.reordered > 400
    assert result.real >= 0.999
    assert result.figures.real_samples >= 0.998 * SECONDS * RATE_HZ
    assert result.has_no_gap()


def drifting(ppm: float, jitter_s: float, hours: float) -> tuple[ReceiveFigures, float, float]:
    """An hour of 60 ms packets from a sender whose clock is off; gives figures, largest delay, audio minus sent."""
    samples = 3 * TICK_SAMPLES
    count = round(hours * 3600 * RATE_HZ / samples)
    random = np.random.default_rng(1)
    arrivals = (
        np.arange(1, count + 1) * samples / RATE_HZ * (1 - ppm * 1e-6) + random.uniform(0, jitter_s, count)
    ).tolist()
    receive = ReceivePath(AudioCodec.OPUS, start=0.0, decoder=MarkedDecoder())
    tick, played, largest = 0.0, 0, 0.0
    for number, at in enumerate(arrivals):
        while tick <= at:
            played += sum(map(len, receive.tick(tick)))
            largest = max(largest, receive.figures.delay_ms)
            tick += TICK_SECONDS
        packet: MediaPacket = marked(number, samples=samples)
        played += sum(map(len, receive.add(packet, at)))
    return receive.figures, largest, played / RATE_HZ - count * samples / RATE_HZ


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_clock_drift_is_absorbed_by_the_clocked_buffer(ppm: float) -> None:
    """A sender 200 ppm fast or slow for an hour, with jitter: nothing lost, the delay bounded throughout."""
    figures, largest_ms, surplus_s = drifting(ppm, 0.030, 1.0)
    assert figures.clocked
    assert figures.concealed_samples == figures.dropped == figures.lost == 0
    assert largest_ms < 130
    assert surplus_s == pytest.approx(-0.72 if ppm > 0 else 0.72, abs=0.2)


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_clock_drift_goes_straight_through(ppm: float) -> None:
    """Without jitter the drift is the listener's to follow: no sample more or less, no delay, no change of mode."""
    figures, largest_ms, surplus_s = drifting(ppm, 0.0, 1.0)
    assert figures.mode_switches == 0
    assert largest_ms < 2
    assert surplus_s == 0
