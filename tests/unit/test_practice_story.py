from datetime import UTC, datetime

import numpy as np

from connector.practice.recorder import Recording
from connector.practice.report import Happening, Story
from connector.practice.sound import silence, tone
from connector.practice.story import tell, together
from connector.practice.verify import Evidence, verify
from tests.practice_scene import START, Scene

SESSION = {
    "id": "1",
    "codec": "opus",
    "packets": 1_234,
    "packets_with_fec": 1_000,
    "opened_at": START,
    "connected_at": START + 0.05,
    "events": [{"at": START + 0.06, "what": "greeting", "detail": ""}],
}
FIGURES = {"opened": 1, "offers": 1, "sessions": [SESSION]}


def told(evidence: Evidence, figures: dict[str, object]) -> Story:
    heard = evidence.heard_by
    when = datetime(2026, 1, 2, tzinfo=UTC)
    return tell("front-desk", when, evidence, heard, verify(evidence), [Happening(START, "ada", "speaks")], figures)


def test_recordings_are_laid_over_each_other() -> None:
    """What overlaps is summed, what does not stands at its own time."""
    both = together([Recording(tone(300, 0.2), 1.0), Recording(tone(300, 0.2), 1.1)])
    assert both.start == 1.0
    assert both.seconds == 0.3
    np.testing.assert_array_equal(both.cut(1.0, 1.1), tone(300, 0.2)[:4_800])
    np.testing.assert_array_equal(both.cut(1.2, 1.3), tone(300, 0.2)[4_800:])


def test_of_nothing_there_is_an_empty_recording() -> None:
    """Nobody who recorded anything is no error."""
    assert together([]).seconds == 0


def test_every_side_has_its_lane() -> None:
    """People first, then the agent, then what the people heard; each with a file of its own."""
    story = told(Scene().evidence(), FIGURES)
    lanes = [(lane.name, lane.doing) for lane in story.lanes]
    assert lanes == [
        ("ada", "speaks"),
        ("grace", "speaks"),
        ("agent", "hears"),
        ("agent", "says"),
        ("ada", "hears"),
        ("grace", "hears"),
    ]
    assert len({lane.file for lane in story.lanes}) == 6


def test_what_is_worth_a_look_is_marked() -> None:
    """The moment with two voices and the interruption are named in the picture."""
    story = told(Scene().evidence(), FIGURES)
    assert [moment.text for moment in story.moments] == ["both at once", "grace talks over the agent"]
    assert all(story.begin <= moment.begin < moment.end <= story.end for moment in story.moments)


def test_nobody_is_coloured_as_heard_by_herself() -> None:
    """Ada's own voice does not stand in the lane of what ada hears."""
    story = told(Scene().evidence(), FIGURES)
    assert {colour for _, _, colour in story.lanes[4].voices} == {"grace", "agent"}
    assert {colour for _, _, colour in story.lanes[2].voices} == {"ada", "grace"}


def test_the_figures_are_the_agents_own() -> None:
    """Counters and times of the session become rows."""
    rows = dict(told(Scene().evidence(), FIGURES).figures)
    assert rows["Packets that the agent received"] == "1,234"
    assert rows["From the offer to the connection"] == "50 ms"
    assert rows["From the connection to the greeting"] == "10 ms"


def test_a_run_without_agent_can_be_told() -> None:
    """When nothing was recorded there is still a story, with its times in order."""
    nothing = Recording(silence(0), 0.0)
    story = told(Evidence((), nothing, nothing, {"ada": nothing, "grace": nothing}, 0, 0, ""), {})
    assert story.begin < story.end
    assert story.figures == [("Sessions opened by the connector", "0")]
