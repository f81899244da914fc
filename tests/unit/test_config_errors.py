"""Problems and how they are shown."""

from connector.base.errors import ConfigError
from connector.config.errors import MAX_SHOWN, Check, InvalidConfigError, Problem, did_you_mean, wrong
from connector.config.nodes import Path, Place


def _problem(line: int, column: int = 1, path: Path = ("a",), check: Check = Check.TEXT) -> Problem:
    return Problem(check, Place("x", line, column), path, "m")


def test_every_check_is_described_and_named_once() -> None:
    """The reference prints a sentence for each; the id is the member's name in small letters."""
    assert all(check.description.endswith(".") for check in Check)
    assert all(check.value == check.name.lower() for check in Check)
    assert len({check.description for check in Check}) == len(Check)


def test_a_line_says_where_and_what() -> None:
    """Place, path and message; a variable or a whole file has no path."""
    assert _problem(14, 7, ("rooms", 1, "agent")).line == "x:14:7 rooms[1].agent: m"
    assert _problem(14, 7, ()).line == "x:14:7: m"
    assert Problem(Check.ADDRESS, Place("CONNECTOR_LISTEN"), ("worker", "listen"), "m").line == "CONNECTOR_LISTEN: m"


def test_problems_stand_in_the_order_of_the_file_each_once() -> None:
    """Of several at one place about one path the first counts."""
    error = InvalidConfigError([_problem(2), _problem(1, 9), _problem(1, 2), _problem(2, check=Check.TAG)])
    assert [(problem.place.line, problem.place.column) for problem in error.found] == [(1, 2), (1, 9), (2, 1)]
    assert error.found[-1].check is Check.TEXT
    assert isinstance(error, ConfigError)


def test_more_than_fit_are_counted() -> None:
    """A file that is wrong all over does not fill the screen."""
    assert len(InvalidConfigError(map(_problem, range(1, MAX_SHOWN + 1))).problems) == MAX_SHOWN
    problems = InvalidConfigError(map(_problem, range(1, MAX_SHOWN + 4))).problems
    assert problems[-1] == "… and 3 more problems"


def test_a_validators_error_carries_its_check() -> None:
    """Braces in a message are text, not fields."""
    error = wrong(Check.URL, "found {x} and %s")
    assert (error.type, error.message()) == ("url", "found {x} and %s")


def test_the_nearest_word_is_named() -> None:
    """Or all known ones, when none is near."""
    known = ["listen", "private_listen", "engines"]
    assert did_you_mean("Listn", known) == "did you mean listen?"
    assert did_you_mean("xyz", known) == "known here: listen, private_listen, engines"
    assert did_you_mean("x" * 100_000, known).startswith("known here")
