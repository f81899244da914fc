"""The bridges under test, behind one face, and the plain one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol, Self

from bench.processes import Child, python
from bench.stage import Stage

IDENTITY = "millis-agent"
"""The identity of a bridge in its room."""


class Bridge(Protocol):
    """Bridges some rooms while its context is open."""

    name: str

    async def __aenter__(self) -> Self:
        """Start; returns when the processes run (the rooms may connect a little later)."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """End in good order."""

    @property
    def pids(self) -> list[int]:
        """The processes whose CPU and memory count."""

    def entry(self, room: str) -> Path:
        """The recording of what entered `room`; written at the end, when asked for at the start."""

    def figures(self) -> dict[str, float]:
        """The bridge's own counters, after its end; sums over the rooms."""


class PlainBridge:
    """The plain bridge: a process per room."""

    name = "plain"

    def __init__(
        self,
        stage: Stage,
        rooms: Sequence[str],
        agent_url: str,
        folder: Path,
        *,
        record: bool = False,
        cores: Sequence[int] | None = None,
    ) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._children = [
            Child(
                python("bench.plain_bridge", "--url", stage.sfu.url, "--room", room, "--agent-url", agent_url)
                + (["--record", str(self.entry(room))] if record else []),
                folder / "plain.log",
                env=stage.keys,
                cores=cores,
            )
            for room in rooms
        ]

    async def __aenter__(self) -> Self:
        for child in self._children:
            await self._stack.enter_async_context(child)
        for child in self._children:
            await child.wait_for("bridged")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def pids(self) -> list[int]:
        """One per room."""
        return [child.pid for child in self._children]

    def entry(self, room: str) -> Path:
        """What was handed to `capture_frame`."""
        return self._folder / f"plain-{room}.npz"

    def figures(self) -> dict[str, float]:
        """It keeps none."""
        return {}
