from pathlib import Path

from connector.config.errors import Check
from connector.config.keys import keys_of
from connector.config.load import OVERRIDES
from connector.config.reference import reference
from connector.config.secrets import SECRET_NAMES


def test_the_committed_page_is_up_to_date() -> None:
    """docs/configuration.md is what the model says now; `make reference` writes it."""
    assert Path("docs/configuration.md").read_text() == reference(), "run: make reference"


def test_it_names_everything() -> None:
    """Every key, variable, secret and check stands in it."""
    page = reference()
    words = [f"`{key.path[-1]}`" for key in keys_of() if key.path[0] not in ("livekit", "millis", "rooms")]
    words += [f"`{name}`" for name in (*OVERRIDES, *SECRET_NAMES)]
    words += [f"| {check.value} | {check.description} |" for check in Check]
    assert [word for word in words if word not in page and word not in ("`worker`", "`defaults`")] == []


def test_a_row_says_what_may_stand_there() -> None:
    """Values, default and when a change takes effect stand beside the description."""
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")]
        for line in reference().splitlines()
        if line.startswith("| `")
    }
    assert rows["`leave_after`"][3:6] == ["a duration from 0s to 1h", "`10s`", "live"]
    assert rows["`agent`"][3] == "a Millis agent id in quotes, or a mapping: see below"
    assert rows["`max_sessions`"][3:6] == ["a whole number from 1 to 200", "`10`", "restart"]
    assert rows["`gain_db`"][3:6] == [
        "a mapping from a name or pattern in quotes to a number from -40 to 20",
        "`{}`",
        "live",
    ]
