import numpy as np
import pytest

from connector.audio.figures import ReceiveFigures
from connector.audio.frames import Samples
from connector.audio.line import SampleLine
from connector.audio.order import Held
from connector.audio.render import MAX_CONCEALED, Renderer
from tests.network import UNDECODABLE, MarkedDecoder, marked


class Tone(MarkedDecoder):
    """Everything made up is a constant 1000, so that fading shows; packets are a constant 4000."""

    def decode(self, payload: bytes) -> Samples:
        return np.full(len(super().decode(payload)), 4000, dtype=np.int16)

    def conceal(self, samples: int) -> Samples:
        return np.full(samples, 1000, dtype=np.int16)


class Bench:
    """A renderer and what came out of it."""

    def __init__(self, decoder: MarkedDecoder | None = None) -> None:
        self.figures = ReceiveFigures()
        self.line = SampleLine()
        self.renderer = Renderer(decoder or MarkedDecoder(), self.line, self.figures)

    def play(self, number: int, *, missing: int = 0, start: int | None = None) -> Samples:
        payload = marked(number).payload
        at = 960 * number if start is None else start
        self.renderer.play(Held(number, at, 960, payload), missing=missing)
        return self.line.take(100_000)

    def conceal(self, samples: int = 960) -> Samples:
        self.renderer.conceal(samples)
        return self.line.take(100_000)


def levels(samples: Samples) -> list[int]:
    """The value in the middle of each 20 ms."""
    return [int(value) for value in samples[480::960]]


def test_packets_that_follow_each_other_are_played_as_they_are() -> None:
    """Contiguous packets add exactly their own samples."""
    bench = Bench()
    assert levels(np.concatenate([bench.play(n) for n in range(5)])) == [1, 2, 3, 4, 5]
    assert bench.renderer.cursor == 5 * 960
    assert (bench.figures.real_samples, bench.figures.lost) == (4800, 0)


def test_a_hole_is_concealed_and_its_end_restored() -> None:
    """Of three lost frames the last comes back from the packet behind them, the others are made up."""
    bench = Bench()
    bench.play(0)
    assert levels(bench.play(4, missing=3)) == [0, 0, 4, 5]
    assert bench.figures.concealed_samples == 2 * 960
    assert bench.figures.restored_samples == 960
    assert bench.figures.lost == 3


def test_without_fec_a_hole_is_concealed_whole() -> None:
    """A codec without second copies makes everything up that is missing."""
    bench = Bench(MarkedDecoder(fec=False))
    bench.play(0)
    assert levels(bench.play(3, missing=2)) == [0, 0, 4]
    assert (bench.figures.concealed_samples, bench.figures.restored_samples) == (1920, 0)


def test_a_long_hole_is_not_filled_for_ever() -> None:
    """A second of loss gives 100 ms of concealment and the restored frame; the rest is left out."""
    bench = Bench()
    bench.play(0)
    assert levels(bench.play(51, missing=50)) == [0, 0, 0, 0, 0, 51, 52]
    assert bench.renderer.cursor == 52 * 960


def test_what_was_made_up_is_charged_against_what_was_lost() -> None:
    """Two frames made up in time, three lost: only the third is added when the next packet comes."""
    bench = Bench()
    bench.play(0)
    bench.conceal()
    bench.conceal()
    assert levels(bench.play(4, missing=3)) == [4, 5]
    assert bench.figures.concealed_samples == 1920


def test_what_was_made_up_is_charged_against_what_was_late() -> None:
    """A packet that comes after its time was made up adds nothing, half of it made up adds the other half."""
    bench = Bench()
    bench.play(0)
    bench.conceal()
    assert len(bench.play(1)) == 0
    bench.conceal(480)
    assert len(bench.play(2)) == 480
    assert bench.renderer.cursor == 3 * 960
    assert (bench.figures.concealed_samples, bench.figures.real_samples) == (1440, 1440)


def test_a_restored_frame_that_was_half_made_up_adds_the_other_half() -> None:
    """Restoring also counts what was made up before."""
    bench = Bench()
    bench.play(0)
    bench.conceal(480)
    assert len(bench.play(2, missing=1)) == 480 + 960
    assert (bench.figures.restored_samples, bench.figures.concealed_samples) == (480, 480)


def test_a_timestamp_gap_without_a_missing_packet_is_silence() -> None:
    """After DTX the next packet is played at once; what was made up meanwhile stood for nothing."""
    bench = Bench()
    bench.play(0)
    bench.conceal()
    assert levels(bench.play(1, start=48_000)) == [2]
    assert (bench.figures.filler_samples, bench.figures.concealed_samples) == (960, 0)
    assert bench.renderer.cursor == 48_960


def test_a_lost_empty_packet_costs_nothing() -> None:
    """A missing number without missing time adds no audio and is no loss."""
    bench = Bench()
    bench.play(0)
    assert levels(bench.play(1, missing=1)) == [2]
    assert bench.figures.lost == 0


def test_concealment_ends_after_five_frames() -> None:
    """Made-up audio stops after 100 ms, the stream counts as paused, and the next packet ends that."""
    bench = Bench()
    bench.play(0)
    made = [len(bench.conceal()) for _ in range(7)]
    assert made == [960] * 5 + [0, 0]
    states = [bench.renderer.exhausted]
    bench.renderer.forgive()
    assert levels(bench.play(1)) == [2]
    states.append(bench.renderer.exhausted)
    assert states == [True, False]
    assert bench.figures.pauses == 1
    assert bench.figures.filler_samples == MAX_CONCEALED


def test_concealment_fades_and_the_sound_comes_back_without_a_step() -> None:
    """Two frames stay, three fade to nothing; what follows rises within 5 ms."""
    bench = Bench(Tone())
    bench.play(0)
    made = np.concatenate([bench.conceal() for _ in range(5)])
    assert made[1919] == 1000
    assert made[-1] == 0
    assert (np.diff(made[1920:].astype(int)) <= 0).all()
    assert made[1920 + 1440] == pytest.approx(500, abs=2)
    back = bench.play(7, missing=0)
    assert back[0] == 0
    assert np.abs(np.diff(back.astype(int))).max() < 60
    assert back[300] == 4000


def test_pieces_that_do_not_belong_together_are_joined_without_a_click() -> None:
    """Where audio was left out the step decays over 2.5 ms."""
    bench = Bench(Tone())
    bench.play(0)
    bench.conceal(480)
    rest = bench.play(1)
    assert len(rest) == 480
    assert rest[0] == pytest.approx(1000, abs=1)
    assert np.abs(np.diff(rest.astype(int))).max() < 60
    assert rest[200] == 4000


def test_a_payload_that_cannot_be_decoded_is_made_up_and_counted() -> None:
    """A bad payload costs its own time, no more, and nothing is raised."""
    bench = Bench()
    bench.play(0)
    bad = marked(1, payload=UNDECODABLE.to_bytes(2, "big") + (960).to_bytes(2, "big"))
    bench.renderer.play(Held(1, 960, 960, bad.payload), missing=0)
    assert levels(bench.line.take(10_000)) == [0]
    assert levels(bench.play(2)) == [3]
    assert (bench.figures.undecodable, bench.figures.concealed_samples) == (1, 960)


def test_after_a_restart_the_next_packet_is_played_whatever_its_time() -> None:
    """Another stream's timestamps may be anywhere, before or after."""
    bench = Bench()
    bench.play(100)
    bench.renderer.restart()
    assert levels(bench.play(3)) == [4]
    bench.renderer.restart()
    assert levels(bench.play(7000)) == [7001]
    assert bench.figures.lost == 0


def test_timestamps_that_overlap_real_audio_are_played_all_the_same() -> None:
    """A sender whose timestamps go on by too little is heard whole: it is not what was made up."""
    bench = Bench()
    bench.play(0)
    assert levels(bench.play(1, start=480)) == [2]
    assert bench.figures.real_samples == 1920
