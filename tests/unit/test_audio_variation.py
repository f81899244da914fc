import numpy as np
import pytest

from connector.audio.variation import CAP_S, DelayVariation


def fed(delays: list[float], *, frame: int = 960) -> tuple[DelayVariation, list[float]]:
    variation = DelayVariation()
    return variation, [variation.add(i * frame, i * frame / 48_000 + d) for i, d in enumerate(delays)]


def test_a_packet_is_as_late_as_the_quickest_one_would_not_have_been() -> None:
    """Lateness counts from the quickest packet, whatever the offset between the clocks."""
    _, late = fed([5.030, 5.000, 5.012, 5.200])
    assert late == pytest.approx([0, 0, 0.012, 0.2])


def test_an_even_network_needs_two_frames() -> None:
    """Without variation the target is the shortest: two frames, however long the packets are at most."""
    assert fed([0.01] * 50)[0].target(960) == pytest.approx(0.040)
    assert fed([0.01] * 50)[0].target(480) == pytest.approx(0.040)
    assert fed([0.01] * 50)[0].target(2880) == pytest.approx(0.080)
    assert DelayVariation().target(960) == pytest.approx(0.040)


def test_the_target_covers_97_percent_and_a_frame() -> None:
    """With delays spread evenly over 60 ms the target is 58 ms and a frame; 1 % of stragglers do not move it."""
    delays = np.random.default_rng(1).permutation(np.linspace(0, 0.06, 250)).tolist()
    assert fed(delays)[0].target(960) == pytest.approx(0.0782, abs=0.001)
    assert fed([0.2 if i % 100 == 50 else 0.0 for i in range(250)])[0].target(960) == pytest.approx(0.040)


def test_the_target_ends_at_the_cap() -> None:
    """However uneven the network is, nothing waits longer than 160 ms."""
    assert fed([0.0, 0.9] * 50)[0].target(960) == CAP_S == pytest.approx(0.160)


def test_only_the_last_five_seconds_count() -> None:
    """Five seconds after the last uneven packet all is forgotten, and a clock that drifts is followed."""
    variation, _ = fed([0.04 * (i % 2) for i in range(100)] + [0.04] * 251)
    assert variation.target(960) == pytest.approx(0.040)
    drifting, late = fed([i * 0.02 * 200e-6 for i in range(5000)])
    assert late[-1] <= 5.1 * 200e-6
    assert drifting.quickest == pytest.approx(4999 * 0.02 * 200e-6, abs=0.0011)


def test_the_memory_is_bounded() -> None:
    """Even of the shortest packets no more than 512 are remembered."""
    variation, _ = fed([0.0] * 3000, frame=120)
    assert len(variation._seen) == len(variation._sorted) == 512


def test_timestamps_that_went_on_elsewhere_are_noticed() -> None:
    """Far too early for the cap, or late by more than a second, is a leap; late by less is only late."""
    variation, _ = fed([0.0] * 10)
    now = 10 * 0.02
    assert not variation.leaps(9600, now)
    assert not variation.leaps(9600, now + 0.9)
    assert not variation.leaps(9600 + 7000, now)
    assert variation.leaps(9600, now + 1.1)
    assert variation.leaps(9600 + 8000, now)
    variation.restart()
    assert not variation.leaps(12_345_678, now)
    assert variation.add(12_345_678, now) == 0


def test_due_is_when_the_quickest_packet_would_bring_it() -> None:
    """A position is due at its time on the quickest packet's clock."""
    variation, _ = fed([0.5, 0.53])
    assert variation.due(48_000) == pytest.approx(1.5)
