"""Secrets and how they are read."""

import copy
import json
import pickle
from pathlib import Path

import pytest

from connector.base.errors import ConfigError
from connector.base.secrets import Secret, known_secrets, read_secret, readable_by_others

VALUE = "canary-0123456789"


def test_a_secret_never_shows_itself() -> None:
    """Neither `str`, `repr`, formatting nor a container's text holds the value; only `reveal` gives it."""
    secret = Secret(VALUE)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", str([secret])]
    assert not any(VALUE in text for text in shown)
    assert secret.reveal() == VALUE


def test_a_secret_is_not_written_out() -> None:
    """Pickling, copying and JSON refuse it."""
    secret = Secret(VALUE)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secrets_compare_by_value() -> None:
    """Two secrets of one value are equal and hash alike; a text is no secret; an empty one is false."""
    assert Secret(VALUE) == Secret(VALUE)
    assert hash(Secret(VALUE)) == hash(Secret(VALUE))
    assert Secret(VALUE) != VALUE
    assert Secret(VALUE)
    assert not Secret("")


def test_every_secret_is_known_to_redaction() -> None:
    """Making a secret makes it known; the empty text is not."""
    Secret("canary-known")
    Secret("")
    assert "canary-known" in known_secrets()
    assert "" not in known_secrets()


def test_a_secret_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """White space around it is dropped; no variable means no secret."""
    file = tmp_path / "key"
    file.write_text(f"{VALUE}\n")
    assert read_secret("KEY", {"KEY": f" {VALUE} "}) == Secret(VALUE)
    assert read_secret("KEY", {"KEY_FILE": str(file)}) == Secret(VALUE)
    assert read_secret("KEY", {}) is None


def test_without_a_mapping_the_process_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.environ` is read when nothing else is given."""
    monkeypatch.setenv("CANARY_KEY", VALUE)
    assert read_secret("CANARY_KEY") == Secret(VALUE)
    assert not readable_by_others("CANARY_KEY")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "KEY is set but empty"),
        (b" \n", "KEY is set but empty"),
        (b"two\nlines", "KEY contains control characters"),
        (b"\xff\xfe", "KEY_FILE: .* is not UTF-8 text"),
        (b"x" * 65_537, "KEY_FILE: .* is larger than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    """Each refusal is one line that names the variable and never the content."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        read_secret("KEY", {"KEY_FILE": str(file)})
    assert len(caught.value.problems) == 1
    assert "two" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a folder are refused with the system's reason."""
    with pytest.raises(ConfigError, match=r"KEY_FILE: cannot read .*: No such file"):
        read_secret("KEY", {"KEY_FILE": str(tmp_path / "absent")})
    with pytest.raises(ConfigError, match=r"KEY_FILE: cannot read .*: Is a directory"):
        read_secret("KEY", {"KEY_FILE": str(tmp_path)})


def test_both_forms_at_once_are_refused() -> None:
    """Which one counts would be a guess."""
    with pytest.raises(ConfigError, match="KEY and KEY_FILE are both set"):
        read_secret("KEY", {"KEY": "a", "KEY_FILE": "/b"})


def test_a_file_that_everybody_may_read_is_noticed(tmp_path: Path) -> None:
    """The "other" read bit counts; an absent file is nobody's leak."""
    file = tmp_path / "key"
    file.write_text(VALUE)
    file.chmod(0o644)
    assert readable_by_others("KEY", {"KEY_FILE": str(file)})
    file.chmod(0o640)
    assert not readable_by_others("KEY", {"KEY_FILE": str(file)})
    assert not readable_by_others("KEY", {"KEY_FILE": str(tmp_path / "absent")})
    assert not readable_by_others("KEY", {})
