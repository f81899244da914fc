import numpy as np
import pytest

from connector.audio.frames import TICK_SAMPLES
from connector.practice.mouth import Mouth
from connector.practice.sound import tone


def test_a_piece_comes_out_untouched_and_then_silence() -> None:
    """What was given is what the ticks hold, sample by sample."""
    mouth, piece = Mouth(), tone(440, 0.05)
    mouth.say(piece)
    out = np.concatenate([mouth.tick() for _ in range(4)])
    np.testing.assert_array_equal(out[: len(piece)], piece)
    assert not out[len(piece) :].any()
    assert not mouth.speaking


@pytest.mark.parametrize("ticks_before", [0, 1, 2])
def test_broken_off_it_is_silent_within_5_ms(ticks_before: int) -> None:
    """After `stop` the next tick fades out, and nothing follows."""
    mouth = Mouth()
    mouth.say(tone(440, 1.0))
    for _ in range(ticks_before):
        mouth.tick()
    mouth.stop()
    last = mouth.tick()
    assert last[:200].any()
    assert not last[240:].any()
    assert not mouth.speaking
    assert not mouth.tick().any()


def test_a_new_piece_takes_the_place_of_the_old() -> None:
    """Saying something new begins at its first sample, also after a break."""
    mouth, new = Mouth(), tone(300, 0.02)
    mouth.say(tone(440, 1.0))
    mouth.tick()
    mouth.stop()
    mouth.say(new)
    np.testing.assert_array_equal(mouth.tick(), new)


def test_silence_is_whole_ticks_of_zeros() -> None:
    """With nothing to say there is still audio, so that the stream never stops."""
    assert not Mouth().tick().any()
    assert len(Mouth().tick()) == TICK_SAMPLES


def test_a_repeated_piece_has_no_end_and_no_seam() -> None:
    """At its end it begins again with its first sample, still speaking; breaking off ends it for good."""
    mouth, piece = Mouth(), tone(500, 0.04)
    mouth.say(piece, repeat=True)
    out = np.concatenate([mouth.tick() for _ in range(6)])
    np.testing.assert_array_equal(out, np.tile(piece, 3))
    assert mouth.speaking
    mouth.stop()
    mouth.tick()
    assert not mouth.tick().any()
    assert not mouth.speaking
