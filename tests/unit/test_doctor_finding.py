"""What findings mean for the exit code."""

import pytest

from connector.base.errors import ConfigError, ConnectorError, UnavailableError
from connector.doctor.finding import Finding, Verdict, exit_code, failures, fine, left_out, warning


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((), 0), ((69,), 69), ((1,), 1), ((78,), 78), ((1, 69), 69), ((69, 78, 1), 78)],
)
def test_what_is_to_be_mended_first_decides(codes: tuple[int, ...], expected: int) -> None:
    """Configuration before services before anything else; warnings and what was left out cost nothing."""
    harmless = [fine("a", "well"), warning("b", "odd"), left_out("c", "not tried")]
    assert exit_code([*harmless, *(Finding("d", Verdict.FAILED, "bad", code) for code in codes)]) == expected


def test_each_problem_of_an_error_is_a_line() -> None:
    """A configuration error becomes as many findings as it has problems, each with the error's exit code."""
    found = failures("secrets", ConfigError(["one", "two"]))
    assert [(f.text, f.exit_code) for f in found] == [("one", 78), ("two", 78)]
    assert failures("x", UnavailableError("gone"))[0].exit_code == 69
    assert failures("x", ConnectorError("odd")) == [Finding("x", Verdict.FAILED, "odd", 1)]
