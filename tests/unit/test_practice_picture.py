import re
from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.practice.picture import Lane, Moment, envelope, standalone, timeline
from connector.practice.recorder import Recording
from connector.practice.sound import silence, tone

SVG = "{http://www.w3.org/2000/svg}"
LANE = Lane(
    "a<b",
    "hears & says",
    "mix",
    Recording(tone(300, 4), 10.0),
    "x.wav",
    ((10.0, 11.0, "ada"), (12.0, 13.0, "ada"), (12.5, 14.0, "grace")),
)


@given(st.lists(st.integers(-32_768, 32_767), max_size=300), st.integers(1, 40))
def test_the_envelope_holds_every_sample(values: list[int], columns: int) -> None:
    """The extremes of the columns are the extremes of the samples (and the silence that fills up)."""
    pairs = envelope(np.array(values, dtype=np.int16), columns)
    assert len(pairs) == columns
    assert min(low for low, _ in pairs) == min([*values, *([] if values and len(values) % columns == 0 else [0])])
    assert all(low <= high for low, high in pairs)


def test_the_drawing_is_well_formed_and_escaped() -> None:
    """Names with special characters leave valid XML, on the page and as a file."""
    svg = timeline([LANE], [Moment(11, 12, "both & all")], 10.0, 14.0)
    texts = [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"a<b", "hears & says", "both & all", "0 s", "4 s"} <= set(texts)
    assert ET.fromstring(standalone(svg)).find(f"{SVG}rect") is not None


def test_a_lane_is_coloured_by_whom_it_holds() -> None:
    """One voice takes its colour; two at once, and none, take the lane's."""
    root = ET.fromstring(timeline([LANE], [], 10.0, 14.0))
    colours = [element.get("class", "").split()[1] for element in root.iter(f"{SVG}polygon")]
    assert colours == ["ada", "mix", "ada", "mix", "grace"]


@given(st.floats(0.5, 600))
@settings(max_examples=20, deadline=None)
def test_the_axis_never_crowds(seconds: float) -> None:
    """However long the run, there are at most about sixteen marks."""
    svg = timeline([Lane("a", "b", "ada", Recording(silence(0.1), 0.0), "f")], [], 0.0, seconds)
    assert 1 <= len(re.findall(r">\d+ s<", svg)) <= 17


def test_nothing_leaves_its_lane() -> None:
    """The loudest sample touches the lane's edge, no more."""
    root = ET.fromstring(timeline([LANE], [], 10.0, 14.0))
    heights = [float(point.split(",")[1]) for p in root.iter(f"{SVG}polygon") for point in p.get("points", "").split()]
    assert max(heights) - min(heights) <= 62
    assert max(heights) - min(heights) > 55
