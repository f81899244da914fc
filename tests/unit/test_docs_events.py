"""docs/events.md against what is really posted."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from connector.base.ends import EndReason, ResultClass
from connector.base.trigger import Trigger
from connector.control.events import MAX_ATTEMPTS, MAX_WAITING
from connector.control.lifecycle import Event, EventType, Lifecycle
from connector.messages.types import SessionEnded
from tests.unit.test_control_lifecycle import start, state

PAGE = Path("docs/events.md").read_text()
EXAMPLE, SCHEMA = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def posted() -> list[Event]:
    """Every kind of event, each field filled in somewhere."""
    out: list[Event | None] = []
    for trigger in Trigger:
        lifecycle = Lifecycle("worker-1")
        out.append(lifecycle.started(start(), trigger, 1.0))
        out += [lifecycle.state(state(name, detail="why"), 2.0) for name in ("joining", "live", "recovering")]
        summary: dict[str, float | int | str] = {"duration_s": 1.5, "level": float("nan"), "codec": "opus"}
        reason, detail, cause = EndReason.AGENT_LOST, "gone", "no_datagrams"
        ended = SessionEnded(
            session_id="s1", room="front-desk", reason=reason, detail=detail, cause=cause, summary=summary
        )
        out.append(lifecycle.ended(ended, 3.0))
    return [event for event in out if event is not None]


def test_what_is_posted_fits_the_schema_and_every_field_is_described() -> None:
    """The schema on the page holds for real events and for the page's own example; no field is missing from it."""
    checker = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    documents = [json.loads(event.body) for event in posted()]
    for document in [EXAMPLE, *documents]:
        checker.validate(document)
    fields = {name for document in documents for name in document["data"]}
    assert fields == set(SCHEMA["properties"]["data"]["properties"])
    assert [name for name in fields if f"| `{name}` |" not in PAGE] == []


def test_an_end_without_its_reason_does_not_fit() -> None:
    """The schema is no formality."""
    document = json.loads(next(event for event in posted() if event.type is EventType.ENDED).body)
    del document["data"]["reason"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_closed_sets_are_complete() -> None:
    """Types, triggers and result classes on the page are all there are; bounds are the real ones."""
    properties = SCHEMA["properties"]
    assert properties["type"]["enum"] == list(EventType)
    assert properties["data"]["properties"]["trigger"]["enum"] == list(Trigger)
    assert properties["data"]["properties"]["result"]["enum"] == list(ResultClass)
    assert f"at most {MAX_WAITING:,} events wait" in PAGE
    assert f"up to {MAX_ATTEMPTS} times" in PAGE
