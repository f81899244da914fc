"""The practice agent's options as they come from a command line."""

from pathlib import Path
from typing import cast, get_args

from connector.base.errors import UsageError
from connector.base.legs import AudioCodec
from connector.base.secrets import Secret
from connector.practice.agent import PracticeOptions
from connector.practice.agent_call import Greeting, Habits, Reply
from connector.practice.agent_faults import KNOWN, parse_fault
from connector.practice.recorder import MAX_SECONDS


def practice_options(
    *,
    listen: str,
    key: Secret | None,
    codec: AudioCodec,
    greeting: str,
    reply: str,
    pauses: bool,
    record: Path | None,
    faults: list[str],
) -> PracticeOptions:
    """Put the options of a command line together.

    Raises:
        UsageError: One of them is unknown.
    """
    if greeting not in get_args(Greeting):
        raise UsageError(f"--greeting: expected {', '.join(get_args(Greeting))}; found {greeting!r}")
    if reply not in get_args(Reply):
        raise UsageError(f"--reply: expected {', '.join(get_args(Reply))}; found {reply!r}")
    habits = Habits(
        codec=codec,
        greeting=cast("Greeting", greeting),
        reply=cast("Reply", reply),
        pauses=pauses,
        keep_s=0 if record is None else MAX_SECONDS,  # an agent that runs for days must not keep what nobody will read
    )
    return PracticeOptions(
        listen=listen, key=key, habits=habits, faults=tuple(parse_fault(text) for text in faults), record=record
    )


def faults_table() -> str:
    """Every fault that can be asked for, one per line."""
    width = max(map(len, KNOWN))
    return "\n".join(f"{name:{width}}  {what}" for name, what in KNOWN.items())
