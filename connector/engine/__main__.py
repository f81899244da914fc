"""The engine process: `python -m connector.engine --fd N`, started by control only.

Before it reports ready it loads the native libraries and checks every seam, so that the first call finds it warm.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys

import structlog

from connector.audio import opus
from connector.base.errors import ConfigError, ConnectorError
from connector.base.logs import setup_logs
from connector.engine.engine import Engine
from connector.engine.legs import RealLegs
from connector.engine.pipe import ControlPipe
from connector.engine.secrets import EngineSecrets
from connector.engine.watchdog import Watchdog
from connector.messages.types import Ready
from connector.millis import seams as millis_seams
from connector.millis.offer import OfferClient
from connector.room import seams as room_seams


async def serve(fd: int) -> None:
    """Run the engine on the inherited socket `fd` until control ends it."""
    pipe = await ControlPipe.open(fd)
    version = opus.self_check()
    fallbacks = (*room_seams.check_seams(), *millis_seams.check_seams())
    for fallback in fallbacks:
        structlog.get_logger().warning("seam_fallback", what=fallback)
    client = OfferClient()
    await client.warm()
    secrets = EngineSecrets()
    with contextlib.suppress(ConfigError):  # the good ones of now serve while a later file is wrong
        secrets.read()
    watchdog = Watchdog()
    engine = Engine(pipe, watchdog, lambda start, shared: RealLegs(start, shared, client, secrets))
    watchdog.start()
    gc.freeze()  # what start-up made lives for ever: collections need not look at it
    pipe.put(Ready(pid=os.getpid(), opus=version, fallbacks=fallbacks))
    try:
        await engine.run()
    finally:
        watchdog.stop()
        await client.close()
        await pipe.close()


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description="An engine process; started by `connector run`.")
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    setup_logs()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; control decides what it means
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        asyncio.run(serve(arguments.fd))
    except ConnectorError as error:
        structlog.get_logger().error("engine_failed", error=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
