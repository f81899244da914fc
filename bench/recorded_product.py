"""The product with one thing added: what it pushes into each room is recorded, with times.

Started like `connector` itself. The worker starts its engines through this module too, and in the engine the room leg's
`push` keeps a copy of what it is given; `BENCH_RECORD` names the folder.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.recording import FrameLog
from connector.audio.frames import AudioInputs, Samples
from connector.cli import main as worker_main
from connector.control import engines
from connector.engine import legs
from connector.engine.__main__ import main as engine_main
from connector.room.leg import LiveKitRoomLeg, RoomLegOptions


def record_engines() -> None:
    """Let the worker start this module in place of the engine's."""
    start = asyncio.create_subprocess_exec

    async def instead(program: str, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
        swapped = ["bench.recorded_product" if argument == "connector.engine" else argument for argument in arguments]
        return await start(program, *swapped, **options)

    vars(engines)["asyncio"].create_subprocess_exec = instead


class RecordedRoomLeg(LiveKitRoomLeg):
    """Keeps a copy of what it is given to publish, and writes it when it closes."""

    def __init__(self, options: RoomLegOptions, inputs: AudioInputs) -> None:
        super().__init__(options, inputs)
        self._file = Path(os.environ["BENCH_RECORD"]) / f"product-{options.room}.npz"
        self._log = FrameLog()

    def push(self, samples: Samples) -> None:
        """Record, then publish."""
        self._log.add(time.monotonic_ns(), samples)
        super().push(samples)

    async def close(self) -> None:
        """Leave, then write."""
        await super().close()
        self._log.save(self._file)


if __name__ == "__main__":
    if "--fd" in sys.argv:
        vars(legs)["LiveKitRoomLeg"] = RecordedRoomLeg
        sys.exit(engine_main())
    record_engines()
    worker_main()
