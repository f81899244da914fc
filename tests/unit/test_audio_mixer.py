import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connector.audio.frames import RATE_HZ, TICK_SAMPLES, AudioInputs, FrameSink, Samples
from connector.audio.levels import FLOOR_DBFS
from connector.audio.limiter import CEILING
from connector.audio.mixer import BEHIND_S, RoomMixer
from connector.audio.ticks import TickSchedule

FRAME = 480
TICK = 0.02


class Stage:
    """A mixer with its clock, and inputs that play in 10 ms frames; ticks come 7 ms after every second frame."""

    def __init__(self, *, max_inputs: int = 128) -> None:
        self.now = 1_000.0
        self.mixer = RoomMixer(lambda: self.now, max_inputs=max_inputs)
        self.sinks: dict[str, FrameSink] = {}

    def open(self, *keys: str, gain_db: float = 0.0) -> None:
        """Open inputs."""
        for key in keys:
            self.sinks[key] = self.mixer.open(key, gain_db)

    def play(self, sounds: dict[str, Samples]) -> Samples:
        """Play all sounds side by side, whole ticks of them; returns the mix."""
        out = []
        for begin in range(0, min(len(sound) for sound in sounds.values()) - TICK_SAMPLES + 1, TICK_SAMPLES):
            for frame in (begin, begin + FRAME):
                self.now += 0.01
                for key, sound in sounds.items():
                    self.sinks[key](sound[frame : frame + FRAME])
            out.append(self.mixer.tick(self.now + 0.007))
        return np.concatenate(out)


def tone(hz: float, dbfs: float, seconds: float = 3.0) -> Samples:
    """A sine with peaks at `dbfs`."""
    wave = np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.asarray(np.rint(32_768 * 10 ** (dbfs / 20) * wave), dtype=np.int16)


def tone_dbfs(samples: Samples, hz: float) -> float:
    """The level of one tone, by correlation over whole seconds."""
    wave = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / RATE_HZ)
    return float(20 * np.log10(2 * abs(np.mean(samples * wave)) / 32_768))


def random_sounds(seed: int, count: int, peak: int) -> dict[str, Samples]:
    """A few ticks of noise for each of several inputs."""
    rng = np.random.default_rng(seed)
    return {
        str(place): rng.integers(-peak, peak, 5 * TICK_SAMPLES, endpoint=True).astype(np.int16)
        for place in range(count)
    }


def mixed(sounds: dict[str, Samples], gains_db: dict[str, float] | None = None) -> Samples:
    """The mix of these sounds by a new mixer, inputs opened in the order of the dict."""
    stage = Stage()
    for key in sounds:
        stage.open(key, gain_db=(gains_db or {}).get(key, 0.0))
    return stage.play(sounds)


def test_the_mixer_is_where_a_leg_delivers() -> None:
    """It has the face that the room leg knows."""
    inputs: AudioInputs = RoomMixer(lambda: 0.0)
    inputs.open("a", 0.0)
    inputs.set_gain("a", 3.0)
    inputs.close("a")
    assert isinstance(inputs, RoomMixer)
    assert inputs.figures.opened == 1


def test_nobody_there_is_silence() -> None:
    """Without inputs, and with inputs that bring nothing, every tick is 960 zeros that nobody can write to."""
    stage = Stage()
    for _ in range(2):
        out = stage.mixer.tick(stage.now)
        assert out.dtype == np.int16
        assert out.shape == (TICK_SAMPLES,)
        assert not out.any()
        with pytest.raises(ValueError, match="read-only"):
            out[0] = 1
        stage.open("mute")
    assert stage.mixer.figures.silent_ticks == 2


def test_one_voice_alone_is_bit_exact() -> None:
    """A tone at -6 dBFS comes out as it went in."""
    sound = tone(440, -6)
    out = mixed({"a": sound})
    # Where it started is where the samples after the fade-in are found again.
    offset = next(
        o for o in range(0, 4 * FRAME, FRAME) if np.array_equal(out[48_000:], sound[48_000 - o : len(out) - o])
    )
    assert offset <= 2 * FRAME
    assert np.abs(out).max() == np.abs(sound).max()


@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_one_of_several_tones_keeps_its_level(count: int) -> None:
    """2, 3 and 8 tones at once each stand within 0.5 dB of their level in the mix, and nothing else stands there."""
    hz = [200 + 310 * place for place in range(count)]
    out = mixed({str(f): tone(f, -20) for f in hz})[RATE_HZ : 2 * RATE_HZ]
    for f in hz:
        assert tone_dbfs(out, f) == pytest.approx(-20, abs=0.5)
    assert tone_dbfs(out, 3_001) < -20 - 60


def test_who_speaks_is_as_loud_in_a_crowd() -> None:
    """The mix is never divided by the number of inputs: seven silent ones change nothing."""
    alone = mixed({"a": tone(300, -10, 0.5)})
    crowd = mixed({"a": tone(300, -10, 0.5)} | {str(i): np.zeros(RATE_HZ // 2, dtype=np.int16) for i in range(7)})
    assert np.array_equal(alone, crowd)


def test_two_loud_tones_are_limited_without_distortion() -> None:
    """440 and 1,000 Hz at -3 dBFS each: after 1 s the distortion is at most -35 dB, and both stand level."""
    out = mixed({"a": tone(440, -3), "b": tone(1_000, -3)})[RATE_HZ : 2 * RATE_HZ]
    levels = [tone_dbfs(out, 440), tone_dbfs(out, 1_000)]
    power = np.mean(out.astype(np.float64) ** 2)
    wanted = sum((32_768 * 10 ** (level / 20)) ** 2 / 2 for level in levels)
    assert 10 * np.log10(abs(power - wanted) / wanted) <= -35
    assert levels[0] == pytest.approx(levels[1], abs=0.1)
    assert levels[0] > -8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
def test_the_order_of_inputs_does_not_matter(seed: int, order: list[int]) -> None:
    """Any order of opening the same inputs gives the same mix, bit by bit."""
    sounds = random_sounds(seed, 5, 32_767)
    assert np.array_equal(mixed(sounds), mixed({str(place): sounds[str(place)] for place in order}))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(3)), st.lists(st.floats(-30, 20), min_size=3, max_size=3))
def test_the_order_does_not_matter_with_gains(seed: int, order: list[int], gains: list[float]) -> None:
    """With gains, the mix is the same but for the rounding of the last bit."""
    sounds = random_sounds(seed, 3, 5_000)
    gains_db = {str(place): gain for place, gain in enumerate(gains)}
    first = mixed(sounds, gains_db).astype(np.int32)
    second = mixed({str(place): sounds[str(place)] for place in order}, gains_db).astype(np.int32)
    assert np.abs(first - second).max() <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_silence_is_neutral(seed: int, silent: int) -> None:
    """Silent inputs, before or after the others, change no sample."""
    sounds = random_sounds(seed, 3, 32_767)
    zeros = {f"silent {place}": np.zeros(5 * TICK_SAMPLES, dtype=np.int16) for place in range(silent)}
    assert np.array_equal(mixed(sounds), mixed(zeros | sounds))
    assert np.array_equal(mixed(sounds), mixed(sounds | zeros))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(-40, 40))
def test_nothing_wraps(seed: int, count: int, gain_db: float) -> None:
    """However many full-scale inputs with whatever gain: no sample passes the ceiling, none changes its sign."""
    sound = next(iter(random_sounds(seed, 1, 32_767).values()))
    sounds = {str(place): sound for place in range(count)}
    out = mixed(sounds, dict.fromkeys(sounds, gain_db)).astype(np.int64)
    reference = mixed({"alone": (sound // 2).astype(np.int16)}).astype(np.int64)
    assert np.abs(out).max() <= max(CEILING, int(np.abs(sound).max()) * (gain_db == 0.0))
    assert np.all(out * reference >= 0)


def test_gain_is_in_db_and_stays_within_bounds() -> None:
    """-6 dB halves, an absurd gain is cut to ±40 dB, and what is no number is refused."""
    sound = tone(300, -12, 1.0)
    assert tone_dbfs(mixed({"a": sound}, {"a": -6.0})[24_000:], 300) == pytest.approx(-18, abs=0.05)
    assert tone_dbfs(mixed({"a": tone(300, -60, 1.0)}, {"a": 500.0})[24_000:], 300) == pytest.approx(-20, abs=0.3)
    with pytest.raises(ValueError, match="not a number"):
        RoomMixer(lambda: 0.0).open("a", float("nan"))


def test_a_new_gain_does_not_click() -> None:
    """A change of gain is spread over a tick; an unknown key is ignored."""
    stage = Stage()
    stage.open("a")
    before = stage.play({"a": tone(200, -12, 0.4)})
    stage.mixer.set_gain("a", 6.0)
    stage.mixer.set_gain("nobody", 6.0)
    after = stage.play({"a": tone(200, -12, 0.4)})
    whole = np.concatenate([before, after]).astype(np.int32)
    assert np.abs(np.diff(whole)).max() < 2 * np.abs(np.diff(before[2_000:].astype(np.int32))).max() * 1.1
    assert tone_dbfs(after[-9_600:], 200) == pytest.approx(-6, abs=0.1)


def biggest_step(samples: NDArray[np.int16]) -> int:
    """The largest difference between neighbouring samples."""
    return int(np.abs(np.diff(samples.astype(np.int32))).max())


def test_a_closed_input_fades_and_its_sink_is_dead() -> None:
    """Closing in the middle of a sound does not click, and what its sink is given later is not heard."""
    stage = Stage()
    stage.open("a")
    playing = stage.play({"a": tone(200, -6, 0.5)})
    stage.mixer.close("a")
    stage.mixer.close("a")
    after = stage.play({"a": tone(200, -6, 0.2)})
    assert biggest_step(np.concatenate([playing, after])) < 1_200
    assert not after[TICK_SAMPLES:].any()
    assert stage.mixer.levels() == {}
    assert stage.mixer.figures.inputs == 0


def test_opening_a_key_again_replaces_the_input() -> None:
    """The old sink is dead, the new one is heard, and it is heard once."""
    stage = Stage()
    stage.open("a")
    old = stage.sinks["a"]
    stage.play({"a": tone(300, -12, 0.5)})
    stage.open("a")
    stage.sinks["old"] = old
    out = stage.play({"a": tone(300, -12, 0.5), "old": tone(500, -12, 0.5)})
    assert tone_dbfs(out[4_800:], 300) == pytest.approx(-12, abs=0.1)
    assert tone_dbfs(out[4_800:], 500) < -60
    assert (stage.mixer.figures.inputs, stage.mixer.figures.opened) == (1, 2)


def test_more_inputs_than_allowed_are_refused() -> None:
    """The mixer stays bounded: one input too many gets a sink that drops, and is counted."""
    stage = Stage(max_inputs=2)
    stage.open("a", "b", "c")
    out = stage.play({"a": tone(300, -20, 0.5), "b": tone(500, -20, 0.5), "c": tone(700, -20, 0.5)})
    assert tone_dbfs(out[9_600:], 700) < -80
    assert (stage.mixer.figures.inputs, stage.mixer.figures.refused) == (2, 1)
    stage.open("b")
    assert stage.mixer.figures.inputs == 2


def test_a_storm_of_short_inputs_leaves_nothing_behind() -> None:
    """A hundred inputs opened, heard and closed between two ticks fade at most as many as may be open."""
    stage = Stage(max_inputs=2)
    for place in range(100):
        key = str(place)
        stage.open(key)
        stage.sinks[key](tone(300, -20, 0.02))
        stage.mixer.close(key)
    assert len(stage.mixer._leaving) == 2
    assert not stage.mixer.tick(stage.now).any()
    assert len(stage.mixer._leaving) == 0
    assert (stage.mixer.figures.opened, stage.mixer.figures.inputs) == (100, 0)


def test_levels_name_who_speaks() -> None:
    """Within 100 ms each input's level shows, before its gain, and falls when it is silent."""
    stage = Stage()
    stage.open("loud", "soft", gain_db=-20.0)
    assert stage.mixer.levels() == {"loud": FLOOR_DBFS, "soft": FLOOR_DBFS}
    stage.play({"loud": tone(300, -10, 0.3), "soft": tone(300, -40, 0.3)})
    assert stage.mixer.levels() == {"loud": pytest.approx(-10, abs=0.5), "soft": pytest.approx(-40, abs=0.5)}
    for _ in range(10):
        stage.now += TICK
        stage.mixer.tick(stage.now)
    assert set(stage.mixer.levels().values()) == {FLOOR_DBFS}


def test_figures_outlive_their_input() -> None:
    """What a closed input counted stays in the sum."""
    stage = Stage()
    stage.open("a", "b")
    stage.play({"a": tone(300, -20, 0.2), "b": tone(300, -20, 0.2)})
    before = stage.mixer.figures
    stage.mixer.close("a")
    figures = stage.mixer.figures
    assert figures.written_samples == before.written_samples == 2 * 9_600
    assert figures.heard_frames == before.heard_frames > 0
    assert figures.ticks == 10


def locked_distance(offsets: list[float], start: float) -> float:
    """How far behind the last frame a nudged schedule settles, for inputs whose frames come at these offsets."""
    now = [1_000.0]
    mixer = RoomMixer(lambda: now[0])
    sinks = [mixer.open(str(place), 0.0) for place in range(len(offsets))]
    schedule = TickSchedule(1_000.0 + start)
    frames = (
        (1_000.0 + 0.01 * place + offset, sink)
        for place in range(1, 1_000)
        for offset, sink in zip(offsets, sinks, strict=True)
    )
    for at, sink in frames:
        while schedule.next_at < at:
            now[0] = schedule.next_at
            for _ in range(schedule.due(now[0])):
                mixer.tick(now[0])
            schedule.nudge(mixer.phase_shift(schedule.next_at) or 0.0)
        now[0] = at
        sink(np.zeros(FRAME, dtype=np.int16))
    return (schedule.next_at - 1_000.0 - max(offsets)) % 0.01


@pytest.mark.parametrize("start", [0.0, 0.0014, 0.005, 0.0083])
@pytest.mark.parametrize("offsets", [[0.0], [0.0, 0.001, 0.002], [0.0095, 0.0099]])
def test_the_phase_lock_settles_behind_the_last_track(start: float, offsets: list[float]) -> None:
    """From any phase, ticks come to stand 3 ms behind the last frame of a burst."""
    assert locked_distance(offsets, start) == pytest.approx(BEHIND_S, abs=0.0003)


def test_a_tick_is_complete_when_every_track_that_flows_has_20_ms() -> None:
    """A track that plays must have its tick; one that begins is not complete; one that stopped is not waited for."""
    stage = Stage()
    assert stage.mixer.complete(stage.now)
    stage.open("a", "b")
    assert stage.mixer.complete(stage.now)
    stage.sinks["a"](np.ones(FRAME, np.int16))
    assert not stage.mixer.complete(stage.now)
    stage.play({"a": tone(300, -20, 0.2), "b": tone(300, -20, 0.2)})
    while stage.mixer.complete(stage.now):
        stage.mixer.tick(stage.now)
    for _ in range(2):
        stage.now += 0.01
        stage.sinks["a"](np.ones(FRAME, np.int16))
    assert not stage.mixer.complete(stage.now)
    for _ in range(2):
        stage.sinks["b"](np.ones(FRAME, np.int16))
    assert stage.mixer.complete(stage.now)
    stage.mixer.tick(stage.now)
    assert not stage.mixer.complete(stage.now)
    assert stage.mixer.complete(stage.now + 0.05)


def test_the_lead_is_what_lies_between_usual_and_latest() -> None:
    """Punctual frames leave the tick's distance from them, some late ones more, no frames nothing."""
    for late_s in (0.0, 0.002):
        now = [1_000.0]
        mixer = RoomMixer(lambda now=now: now[0])  # type: ignore[misc]
        sink = mixer.open("a", 0.0)
        for place in range(800):
            now[0] = 1_000.0 + 0.01 * place + late_s * (place % 40 == 0)
            sink(np.zeros(FRAME, np.int16))
            if place % 2:
                mixer.tick(now[0] + 0.005)
        mixer.phase_shift(now[0])
        assert mixer.lead_s == pytest.approx(BEHIND_S + late_s, abs=0.0005)
        for _ in range(50):
            mixer.tick(now[0] + 2)
        mixer.phase_shift(now[0] + 2)
        assert mixer.lead_s == 0


def test_without_frames_nothing_is_shifted() -> None:
    """A mixer that hears nothing asks for no phase, and one whose frames have stopped forgets it."""
    stage = Stage()
    assert stage.mixer.phase_shift(1_000.0) is None
    stage.open("a")
    stage.play({"a": tone(300, -20, 0.2)})
    assert stage.mixer.phase_shift(stage.now) is not None
    while stage.mixer.figures.ticks < 100:
        stage.now += TICK
        stage.mixer.tick(stage.now)
    assert stage.mixer.phase_shift(stage.now) is None


def test_delays_are_those_of_the_worst_input_that_is_fed() -> None:
    """What waits and what lateness is allowed for is told while frames come, and not of inputs that have stopped."""
    stage = Stage()
    assert stage.mixer.delays(stage.now) is None
    stage.open("a", "b")
    assert stage.mixer.delays(stage.now) is None
    stage.play({"a": tone(440, -20, 3.0)})
    delays = stage.mixer.delays(stage.now)
    assert delays is not None
    waits, late = delays
    assert 0 <= waits < 0.04
    assert 0 <= late <= 0.06
    assert stage.mixer.delays(stage.now + 2) is None
