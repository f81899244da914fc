"""The page of the long scenarios."""

from pathlib import Path

import pytest

from bench.live.outcome import Outcome, equal, load_results, p95, page, save_results, spread
from bench.verdict import at_most


def outcome(*, met: bool = True) -> Outcome:
    """A result with everything in it."""
    found = Outcome("A title", "What was done.", surroundings={"commit": "abc"})
    found.verdicts = [equal("offers", 2, 2 if met else 3), at_most("time", float("nan"), 1, " s")][: 1 + (not met)]
    found.tables = [("At the people:", [["", "p50"], ["gaps", "0.1 s"]])]
    return found


def test_a_result_is_met_when_every_demand_is_and_there_was_one() -> None:
    """One demand that is not met, or none at all, is a failure; what could not be measured is not met."""
    assert outcome().met
    assert not outcome(met=False).met
    assert not Outcome("nothing", "was demanded").met
    assert not at_most("time", float("nan"), 1, " s").passed


def test_results_of_different_runs_make_one_page(tmp_path: Path) -> None:
    """They are read as they were written, stand in the given order, and each names its commit; others are left out."""
    save_results(tmp_path / "results" / "r.json", {"second": outcome(met=False), "first": outcome()})
    read = load_results(tmp_path / "results" / "r.json")
    assert read["first"] == outcome()
    text = page(read, ["first", "absent", "second"])
    assert text.count("## A title") == text.count("commit abc.") == 2
    assert text.index("| offers | 2 | 2 | yes |") < text.index("| offers | 3 | 2 | **NO** |")
    assert "| gaps | 0.1 s |" in text
    assert "short variant" not in text


def test_no_results_yet(tmp_path: Path) -> None:
    """The first run starts with nothing."""
    assert load_results(tmp_path / "r.json") == {}


def test_a_short_run_says_so() -> None:
    """Its figures are no evidence."""
    short = outcome()
    short.quick = True
    assert "short variant" in short.markdown()


@pytest.mark.parametrize(
    ("values", "text"), [([], "-"), ([1.0], "1.00 / 1.00 / 1.00 s"), ([0, 1, 2], "1.00 / 1.90 / 2.00 s")]
)
def test_figures_are_told_by_three_numbers(values: list[float], text: str) -> None:
    """Median, 95th percentile and highest; a dash for none."""
    assert spread(values) == text


def test_the_95th_percentile_of_nothing_is_no_number() -> None:
    """So that it meets no demand."""
    assert p95([]) != p95([])
    assert p95([1.0, 1.0]) == 1.0
