"""The demo: the whole thing on one machine with real parts, ended by a verdict and a report.

The stage holds the processes, the script says who speaks when; this module brings the people in through the real SDK,
collects what every side recorded, has it judged, and writes it up.
"""

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from connector.base.errors import ConnectorError
from connector.practice.livekit import find_livekit_server
from connector.practice.recorder import Recording
from connector.practice.report import PAGE, write_report
from connector.practice.script import LONGEST_S, Script
from connector.practice.show import Show
from connector.practice.speakers import Ear, Speaker
from connector.practice.stage import Stage, set_up
from connector.practice.story import PEOPLE, tell, together
from connector.practice.verify import Evidence, Spoken, verify


@dataclass(frozen=True)
class DemoOptions:
    """How the demo runs.

    Attributes:
        config: The rooms.yaml that the worker serves.
        room: The room to meet in; a rule of that file must name it exactly.
        report: The folder for the report.
    """

    config: Path = Path("rooms.yaml")
    room: str = "demo"
    report: Path = Path("report")


@dataclass(frozen=True)
class _Meeting:
    """What came of the meeting, as far as the people know."""

    spoken: list[Spoken]
    agent_by: dict[str, Recording]
    everything_by: dict[str, Recording]


async def run_demo(options: DemoOptions, console: Console | None = None) -> int:
    """Run the demo once; whatever happens, everything that was started is stopped.

    Args:
        options: How.
        console: Where it is shown; by default standard output.

    Returns:
        0 when the verdict is good, 1 when not, 128 + the signal's number after Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        UnavailableError: livekit-server or another part is missing.
        ProcessDiedError: A process ended early; the message says which, and shows the end of its log.
    """
    show = Show(console)
    task = asyncio.current_task()
    with _signals_cancel(task) as received:
        try:
            return await _demo(options, show)
        except asyncio.CancelledError:
            if not received or task is None:
                raise
            task.uncancel()
            show.say("Stopped; nothing is left running.")
            return 128 + received[0]


@contextmanager
def _signals_cancel(task: "asyncio.Task[Any] | None") -> Iterator[list[int]]:
    """Cancel a task at the first signal; further ones must not interrupt the stopping of what was started."""
    received: list[int] = []

    def leave(number: int) -> None:
        received.append(number)
        if len(received) == 1 and task is not None:
            task.cancel()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, leave, number)
    try:
        yield received
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _demo(options: DemoOptions, show: Show) -> int:
    if not options.config.is_file():
        raise ConnectorError(f"the demo needs {options.config}, which is not there: name a rooms.yaml with --config")
    find_livekit_server()
    for old in (PAGE, "verdict.json", "timeline.svg"):  # of a run before, which must not be taken for this one's
        (options.report / old).unlink(missing_ok=True)
    show.say("Two people and a practice agent meet in a real LiveKit room on this machine, for under a minute.")
    when = datetime.now().astimezone()
    with show:
        async with set_up(options.config, options.room, options.report / "logs", show) as stage:
            meeting = await stage.unless_dead(_meet(stage, show))
            show.waiting("hanging up, and looking at the recordings")
            await stage.worker.stop()
            figures = await stage.watch.look()
            await stage.agent.stop()
            evidence = _evidence(meeting, stage.recordings, figures)
        verdict = await asyncio.to_thread(verify, evidence)
        story = tell(options.room, when, evidence, meeting.everything_by, verdict, show.happenings, figures)
        page = await asyncio.to_thread(write_report, story, options.report)
    show.say("")
    show.verdict(verdict)
    show.say("")
    show.say(
        "The demo works." if verdict.passed else f"The demo FAILED. The processes' logs: {options.report / 'logs'}"
    )
    show.say(f"Report: {page}")
    return 0 if verdict.passed else 1


async def _meet(stage: Stage, show: Show) -> _Meeting:
    """Bring the people in, let them speak, and keep what they heard."""
    async with AsyncExitStack() as stack:
        speakers = {who: Speaker(stage.place, who) for who in PEOPLE}
        await asyncio.gather(*(stack.enter_async_context(speaker) for speaker in speakers.values()))
        voices = {who: await speaker.publish() for who, speaker in speakers.items()}
        show.happened(time.monotonic(), "ada", "and grace are in the room")
        watching = asyncio.create_task(stage.watch.run(), name="demo-watch")
        spoken: list[Spoken] = []
        try:
            async with asyncio.timeout(LONGEST_S):
                if not await Script(voices, stage.watch, show, spoken).play():
                    show.happened(time.monotonic(), "agent", "did not come")
        except TimeoutError:
            show.happened(time.monotonic(), "agent", "took too long; the play is broken off")
        finally:
            watching.cancel()
            await asyncio.wait({watching})
        everything = {who: together(_recordings(speaker.ears.values())) for who, speaker in speakers.items()}
        agent = {
            who: together(_recordings(ear for ear in speaker.ears.values() if ear.identity not in PEOPLE))
            for who, speaker in speakers.items()
        }
        return _Meeting(spoken, agent, everything)


def _recordings(ears: Iterable[Ear]) -> list[Recording]:
    return [recording for ear in ears if (recording := ear.recorder.recording()) is not None]


def _evidence(meeting: _Meeting, recordings: Path, figures: dict[str, Any]) -> Evidence:
    """Put together what every side recorded; what was never recorded is silence."""
    sessions = figures.get("sessions", [])
    folder = recordings / f"session-{sessions[0]['id']}" if sessions else recordings
    heard, said = (
        Recording.load(folder / name) if (folder / name).is_file() else together([])
        for name in ("heard.wav", "said.wav")
    )
    return Evidence(
        spoken=tuple(meeting.spoken),
        agent_heard=heard,
        agent_said=said,
        heard_by=meeting.agent_by,
        sessions=len(sessions),
        most_at_once=figures.get("most_at_once", 0),
        ended_by=sessions[0]["closed_by"] if sessions else "",
    )
