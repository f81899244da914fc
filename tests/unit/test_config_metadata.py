import pytest
from pydantic_core import PydanticCustomError

from connector.config.errors import Check
from connector.config.metadata import MAX_DEPTH, Json, Metadata
from connector.config.nodes import Place, Scalar


def _plain(text: str) -> Scalar:
    return Scalar(text, plain=True, place=Place("rooms.yaml", 1, 1))


def _nested(levels: int) -> dict[str, object]:
    inner: dict[str, object] = {"end": "here"}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("9007199254740991", 2**53 - 1),
        ("no", "no"),
        ("True", "True"),
        ("0123", "0123"),
        ("+49", "+49"),
        ("0x10", "0x10"),
        ("12:30:45", "12:30:45"),
        (".5", ".5"),
        ("nan", "nan"),
    ],
)
def test_plain_values_are_read_as_json_would(text: str, value: Json) -> None:
    """What JSON has no word for stays the text that it is."""
    read = Metadata().read({"a": _plain(text)})
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


def test_quoted_values_are_texts() -> None:
    """Quotes mean text, in lists and mappings too."""
    quoted = Scalar("12", plain=False, place=Place("rooms.yaml", 1, 1))
    assert Metadata().read({"a": [quoted, {"b": quoted}]}) == {"a": ["12", {"b": "12"}]}


@pytest.mark.parametrize("text", ["9007199254740992", "-9007199254740992", "1e999", "9" * 5_000])
def test_a_number_that_json_would_bend_is_refused(text: str) -> None:
    """Another reader of the JSON would see another number."""
    with pytest.raises(PydanticCustomError, match="quote it") as caught:
        Metadata().read({"a": _plain(text)})
    assert caught.value.type == Check.METADATA_NUMBER.value


def test_depth_and_size_are_bounded() -> None:
    """Eight levels pass, nine do not; so many bytes pass, one more does not."""
    assert Metadata().read(_nested(MAX_DEPTH)) == _nested(MAX_DEPTH)
    for value in (_nested(MAX_DEPTH + 1), {"a": "x" * 8_192}):
        with pytest.raises(PydanticCustomError) as caught:
            Metadata().read(value)
        assert caught.value.type == Check.METADATA_SIZE.value


def test_only_a_mapping_of_json_values_passes() -> None:
    """A list, half a surrogate pair and foreign objects are refused."""
    for value, check in (([], Check.MAPPING), ({"a": "\ud800"}, Check.TEXT_CHARACTERS), ({"a": b"x"}, Check.TEXT)):
        with pytest.raises(PydanticCustomError) as caught:
            Metadata().read(value)
        assert caught.value.type == check.value
