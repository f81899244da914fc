from dataclasses import replace

import numpy as np
import pytest

from connector.practice.recorder import Recording
from connector.practice.sound import silence, to_samples
from connector.practice.verify import Evidence, Verdict, verify
from tests.practice_scene import START, STOPS_AFTER_S, TO_AGENT_S, TO_PEOPLE_S, Placed, Scene, nothing


def failed(verdict: Verdict) -> set[str]:
    return {check.statement for check in verdict.checks if not check.passed}


def test_a_good_run_passes_every_check() -> None:
    """When everybody hears what they should, every check passes."""
    verdict = verify(Scene().evidence())
    assert failed(verdict) == set()
    assert verdict.passed
    assert len(verdict.checks) == 10


def test_delays_are_read_from_the_recordings() -> None:
    """Both directions and the time to an answer are found."""
    delays = verify(Scene().evidence()).delays
    assert delays.to_agent_ms == pytest.approx(TO_AGENT_S * 1000, abs=1)
    assert delays.to_people_ms == pytest.approx(TO_PEOPLE_S * 1000, abs=1)
    assert delays.answer_ms == pytest.approx(800, abs=100)


def test_an_agent_that_is_deaf_to_one_person_fails() -> None:
    """Nothing of ada reaches the agent."""
    verdict = verify(Scene(ada_to_agent=nothing).evidence())
    assert failed(verdict) == {"The agent heard ada", "The agent heard both at once"}


def test_an_agent_that_loses_one_of_two_at_once_fails() -> None:
    """Alone ada gets through, together with grace she does not."""
    verdict = verify(Scene(ada_to_agent=lambda pieces: pieces[:1]).evidence())
    assert failed(verdict) == {"The agent heard ada", "The agent heard both at once"}


@pytest.mark.parametrize("factor", [1.0, 0.1, 0.02])
def test_an_agent_that_hears_itself_fails(factor: float) -> None:
    """Its own voice comes back, loud or 34 dB down."""
    assert "The agent never heard itself" in failed(verify(Scene(agent_to_agent=factor).evidence()))


def test_noise_while_the_agent_speaks_fails() -> None:
    """Something that is not its own voice, but sounds whenever it alone speaks, is no silence either."""
    evidence = Scene().evidence()
    noise = np.random.default_rng(1).normal(0, 300, len(evidence.agent_heard.samples))
    noisy = Recording(to_samples(evidence.agent_heard.samples + noise), evidence.agent_heard.start)
    assert failed(verify(replace(evidence, agent_heard=noisy))) == {"The agent never heard itself"}


def test_a_participant_who_is_deaf_to_the_agent_fails() -> None:
    """Nothing of the agent reaches grace."""
    assert failed(verify(Scene(agent_to_grace=nothing).evidence())) == {"grace heard the agent"}


def test_a_participant_who_misses_the_greeting_fails() -> None:
    """One utterance of the agent is missing at grace."""
    assert failed(verify(Scene(agent_to_grace=lambda pieces: pieces[1:]).evidence())) == {"grace heard the agent"}


def test_an_agent_that_talks_on_fails() -> None:
    """Talked over, it goes on for more than a second."""
    verdict = verify(Scene(stops_after_s=1.2).evidence())
    assert failed(verdict) == {"It stopped when grace talked over it"}


def test_the_time_to_fall_silent_is_reported() -> None:
    """The figure of the barge-in check is the time from hearing to silence."""
    check = next(c for c in verify(Scene().evidence()).checks if "talked over" in c.statement)
    assert int(check.figure.split()[0]) == pytest.approx(STOPS_AFTER_S * 1000, abs=15)


def test_a_changed_level_fails() -> None:
    """Ada arrives 3 dB down, as after a division by the number of people."""

    def quieter(pieces: list[Placed]) -> list[Placed]:
        return [(to_samples(samples * 0.7), at) for samples, at in pieces]

    assert failed(verify(Scene(ada_to_agent=quieter).evidence())) == {"Voices arrive as loud as they left"}


def test_holes_in_speech_fail() -> None:
    """Five holes of 100 ms in what the agent heard are more than may be missing."""

    def broken(pieces: list[Placed]) -> list[Placed]:
        samples = pieces[0][0].copy()
        for first in range(9_600, 130_000, 24_000):
            samples[first : first + 4_800] = 0
        return [(samples, pieces[0][1]), *pieces[1:]]

    assert "Nothing is missing inside speech" in failed(verify(Scene(ada_to_agent=broken).evidence()))


@pytest.mark.parametrize(
    ("sessions", "at_once", "ended_by"),
    [(2, 1, "connector"), (2, 2, "connector"), (0, 0, ""), (1, 1, ""), (1, 1, "lost")],
)
def test_a_second_session_or_one_left_open_fails(sessions: int, at_once: int, ended_by: str) -> None:
    """Two sessions for one room are one too many; one that nobody hangs up would be billed on."""
    evidence = replace(Scene().evidence(), sessions=sessions, most_at_once=at_once, ended_by=ended_by)
    assert failed(verify(evidence)) == {"One session, and the connector ended it"}


def test_a_run_in_which_nothing_was_heard_fails_without_an_error() -> None:
    """Silence everywhere fails nearly every check, and has no delays."""
    quiet = Recording(silence(29), START)
    verdict = verify(Evidence(Scene().spoken(), quiet, quiet, {"ada": quiet, "grace": quiet}))
    assert len(failed(verdict)) == 9
    assert verdict.delays.to_agent_ms is verdict.delays.to_people_ms is verdict.delays.answer_ms is None
