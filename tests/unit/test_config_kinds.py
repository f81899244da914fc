from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from connector.config.errors import Check
from connector.config.kinds import (
    Choice,
    Duration,
    Either,
    Integer,
    Kind,
    Number,
    Text,
    format_duration,
    one_of,
    parse_duration,
)
from connector.config.nodes import Place, Scalar


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


def _scalar(text: str, *, plain: bool = True) -> Scalar:
    return Scalar(text, plain, Place("rooms.yaml", 1, 1))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Text(), _scalar("0123"), "0123"),
        (Text(), _scalar("null", plain=False), "null"),
        (Text(), "from code", "from code"),
        (Choice(Size), _scalar("small"), Size.SMALL),
        (Choice(Size), Size.LARGE, Size.LARGE),
        (Integer(0, 20), _scalar("7"), 7),
        (Integer(0, 20), _scalar("7", plain=False), 7),
        (Integer(0, 20), _scalar("+07"), 7),
        (Number(-40, 20), _scalar("-6.5"), -6.5),
        (Number(-40, 20), _scalar("1e1"), 10.0),
        (Number(-40, 20), 3, 3.0),
        (Duration("0s", "4h"), _scalar("1.5h"), 5400.0),
        (Duration("0s", "4h"), _scalar("250ms"), 0.25),
        (Duration("0s", "4h"), 10.0, 10.0),
        (Either("auto", Integer(1, 64)), _scalar("auto"), None),
        (Either("auto", Integer(1, 64)), _scalar("3"), 3),
        (Either("null", Text()), _scalar("~"), None),
        (Either("null", Text()), _scalar("null", plain=False), "null"),
    ],
)
def test_a_value_is_read(kind: Kind[object], value: object, expected: object) -> None:
    """From its literal text in the file, or from a plain Python value in code."""
    assert kind.read(value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "check", "message"),
    [
        (Text(), _scalar(""), Check.TEXT, "expected a text in quotes, found nothing"),
        (Text(), {"a": 1}, Check.TEXT, "expected a text in quotes, found a mapping"),
        (Text(), "", Check.TEXT_LENGTH, "expected a text of 1 to 256 characters, found 0 characters"),
        (Text(), "a\nb", Check.TEXT_CHARACTERS, "expected a text on one line, found control characters in it"),
        (
            Choice(Size),
            _scalar("smallest"),
            Check.CHOICE,
            'expected small or large, found "smallest"; did you mean small?',
        ),
        (Choice(Size), _scalar("huge"), Check.CHOICE, 'expected small or large, found "huge"'),
        (Choice(Size), [], Check.CHOICE, "expected small or large, found a list"),
        (Integer(1, 9), _scalar("1.0"), Check.NUMBER, 'expected a whole number from 1 to 9, found "1.0"'),
        (Integer(1, 9), True, Check.NUMBER, 'expected a whole number from 1 to 9, found "True"'),
        (Integer(1, 9), 10, Check.NUMBER_RANGE, 'expected a whole number from 1 to 9, found "10"'),
        (Number(-1, 1), _scalar("nan"), Check.NUMBER, 'expected a number from -1 to 1, found "nan"'),
        (Number(-1, 1), float("nan"), Check.NUMBER_RANGE, 'expected a number from -1 to 1, found "nan"'),
        (Duration("1s", "1h"), _scalar("2h"), Check.DURATION_RANGE, 'expected a duration from 1s to 1h, found "2h"'),
        (Duration("1s", "1h"), 0.5, Check.DURATION_RANGE, 'expected a duration from 1s to 1h, found "0.5"'),
        (
            Either("auto", Integer(1, 9)),
            _scalar("manual"),
            Check.NUMBER,
            'expected auto or a whole number from 1 to 9, found "manual"',
        ),
    ],
)
def test_a_wrong_value_gets_one_sentence(kind: Kind[object], value: object, check: Check, message: str) -> None:
    """It says what was expected and what was found, and carries its check."""
    with pytest.raises(PydanticCustomError) as caught:
        kind.read(value)
    assert caught.value.type == check.value
    assert caught.value.message() == message


def test_a_bare_number_is_no_duration() -> None:
    """The unit is asked for, with the likely one."""
    with pytest.raises(PydanticCustomError) as caught:
        Duration("1s", "1h").read(_scalar("10"))
    assert caught.value.message().endswith('found "10"; did you mean 10s?')


@given(st.integers(0, 10**9).map(lambda ms: ms / 1000))
def test_a_duration_survives_being_written(seconds: float) -> None:
    """parse(format(x)) is x, to the millisecond."""
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (10.0, "10s"), (90.0, "90s"), (120.0, "2m"), (14400.0, "4h"), (0.25, "0.25s")]
)
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    """The largest unit that divides it."""
    assert format_duration(seconds) == text


def test_a_text_that_is_no_duration_is_an_error() -> None:
    """The parser itself is strict as well."""
    with pytest.raises(ValueError, match="'1 hour' is not a duration"):
        parse_duration("1 hour")


def test_words_are_joined_for_people() -> None:
    """Commas, and an `or` before the last."""
    assert [one_of(["a"]), one_of(["a", "b"]), one_of(["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
