"""`connector doctor` from its options to its exit code."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from connector.doctor.checking import run_checks
from connector.doctor.finding import Finding, exit_code
from connector.doctor.local import look_at_rooms, look_at_secrets
from connector.doctor.plan import NAMES, Surroundings, plan
from connector.doctor.show import Board, as_json


@dataclass(frozen=True)
class DoctorOptions:
    """What the command line says.

    Attributes:
        config: The rooms.yaml that is named, if one is.
        join: Whether a test room may be made and joined.
        as_json: Whether to print one JSON object instead of lines.
    """

    config: Path | None = None
    join: bool = True
    as_json: bool = False


async def run_doctor(options: DoctorOptions, environ: Mapping[str, str] | None = None) -> int:
    """Look at everything and show it.

    Args:
        options: The command line's.
        environ: Stands in for `os.environ`.

    Returns:
        The exit code: 0 all is well, 78 bad configuration, 69 a service is unavailable, 1 anything else.
    """
    environ = os.environ if environ is None else environ
    console = None if options.as_json else Console(highlight=False)
    loaded, rooms = look_at_rooms(options.config, environ)
    credentials, secrets = look_at_secrets(None if loaded is None else loaded.config, environ)
    found: list[Finding] = [*rooms, *secrets]
    with Board(NAMES, console) as board:
        board.done(0, rooms)
        board.done(1, secrets)
        checks = plan(Surroundings(loaded, credentials, join=options.join))
        found += await run_checks(checks, lambda index, findings: board.done(index + 2, findings))
    if options.as_json:
        sys.stdout.write(as_json(found) + "\n")
    return exit_code(found)
