"""The `connector` command: parses, wires the parts together, turns errors into one line and an exit code.

Exit codes: 0 ok, 1 failed, 2 usage, 69 a needed service is unavailable, 78 bad configuration.
"""

import asyncio
import contextlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from connector.base.errors import ConnectorError
from connector.base.legs import AudioCodec
from connector.base.logs import flush_logs, setup_logs
from connector.base.secrets import read_secret
from connector.config.load import find_config, load
from connector.config.report import explain_room, rules_table
from connector.config.schema import json_schema
from connector.config.secrets import read_credentials

app = typer.Typer(
    name="connector",
    help="Brings a Millis AI voice agent into LiveKit rooms.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="rooms.yaml. Else $CONNECTOR_CONFIG, else ./rooms.yaml.", show_default=False),
]

ApiOption = Annotated[
    str | None,
    typer.Option("--api", help="URL of the worker. Else the local one, where rooms.yaml says.", show_default=False),
]


def main() -> NoReturn:
    """Run the command line; errors made on purpose become one line on stderr."""
    try:
        app(standalone_mode=True)
    except* ConnectorError as group:
        errors = list(_leaves(group))
        for error in errors:
            sys.stderr.write(f"{error}\n")
        sys.exit(errors[0].exit_code)
    sys.exit(0)


def _leaves(group: BaseExceptionGroup[ConnectorError]) -> list[ConnectorError]:
    found: list[ConnectorError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        typer.echo(f"connector {importlib.metadata.version('room-connector')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Brings a Millis AI voice agent into LiveKit rooms."""


@app.command()
def run(config: ConfigOption = None) -> None:
    """The worker: serves the rooms of rooms.yaml until SIGTERM; live calls may finish first."""
    from connector.worker import Worker  # noqa: PLC0415 - the other commands need no LiveKit library

    setup_logs()
    loaded = load(config)
    credentials = read_credentials(loaded.config)

    async def serve() -> None:
        await Worker(find_config(config), loaded, credentials).run()

    try:
        asyncio.run(serve())
    finally:
        flush_logs()


@app.command()
def check(
    config: ConfigOption = None,
    room: Annotated[str | None, typer.Option("--room", help="Say which rule matches this room, and why.")] = None,
) -> None:
    """Validate rooms.yaml and show its rules."""
    loaded = load(config)
    console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
    if room is None:
        console.print(rules_table(loaded))
        return
    matched = explain_room(loaded, room)
    console.print(matched.text, markup=False)
    raise typer.Exit(0 if matched.found else 1)


@app.command()
def schema() -> None:
    """Print the JSON schema (draft-07) of rooms.yaml."""
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


@app.command()
def doctor(
    *,
    config: ConfigOption = None,
    no_join: Annotated[bool, typer.Option("--no-join", help="Make no test room on the LiveKit server.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at the surroundings: keys, LiveKit, media path, Millis, clock, webhooks, libraries. Starts no session."""
    from connector.doctor.doctor import DoctorOptions, run_doctor  # noqa: PLC0415 - native libraries

    setup_logs({"CONNECTOR_LOG_LEVEL": "error", **os.environ})
    options = DoctorOptions(config, join=not no_join, as_json=as_json)
    raise typer.Exit(asyncio.run(run_doctor(options)))


@app.command()
def rooms(
    *,
    api: ApiOption = None,
    config: ConfigOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep the table up to date, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The rooms of a running worker: who is served, and if not, why."""
    from connector.client.api import open_api  # noqa: PLC0415 - the LiveKit library, for its token
    from connector.client.commands import show_rooms  # noqa: PLC0415

    with open_api(api, config) as worker, contextlib.suppress(KeyboardInterrupt):
        show_rooms(worker, watch=watch and sys.stdout.isatty(), as_json=as_json)


@app.command()
def join(
    room: Annotated[str, typer.Argument(help="The room's name.")],
    *,
    agent: Annotated[str | None, typer.Option(help="A Millis agent id that the room's rule allows.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when people and agent hear each other.")] = False,
    api: ApiOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask a running worker for the agent in a room."""
    from connector.client.api import open_api  # noqa: PLC0415 - the LiveKit library, for its token
    from connector.client.commands import join_room  # noqa: PLC0415

    with open_api(api, config) as worker:
        typer.echo(join_room(worker, room, agent, wait=wait))


@app.command()
def leave(
    room: Annotated[str, typer.Argument(help="The room's name.")],
    *,
    api: ApiOption = None,
    config: ConfigOption = None,
) -> None:
    """Send the agent of a running worker out of a room."""
    from connector.client.api import open_api  # noqa: PLC0415 - the LiveKit library, for its token
    from connector.client.commands import leave_room  # noqa: PLC0415

    with open_api(api, config) as worker:
        typer.echo(leave_room(worker, room))


@app.command()
def demo(
    config: Annotated[Path, typer.Option("--config", "-c", help="The rooms.yaml to run with.")] = Path("rooms.yaml"),
    room: Annotated[str, typer.Option(help="The room to meet in; a rule must name it.")] = "demo",
    report: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("report"),
) -> None:
    """Show the whole thing on this machine with real parts; ends with a verdict and a report."""
    from connector.practice.demo import DemoOptions, run_demo  # noqa: PLC0415 - native libraries

    raise typer.Exit(asyncio.run(run_demo(DemoOptions(config, room, report))))


@app.command("practice-agent")
def practice_agent(
    *,
    listen: Annotated[str, typer.Option(help="host:port of its HTTP server.")] = "127.0.0.1:8090",
    codec: Annotated[AudioCodec, typer.Option(help="The codec of its answer.")] = AudioCodec.OPUS,
    greeting: Annotated[str, typer.Option(help="speech, tone, hum (without an end) or none.")] = "speech",
    reply: Annotated[str, typer.Option(help="echo (in another pitch), tone or none.")] = "echo",
    pauses: Annotated[bool, typer.Option("--pauses", help="Send no packets while it has nothing to say.")] = False,
    record: Annotated[Path | None, typer.Option(help="Folder for a recording of each call.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Something to do wrong; --fault list shows all.")] = None,
) -> None:
    """Only the practice agent: try a real LiveKit without a Millis bill; asks for MILLIS_PRIVATE_KEY, if set."""
    from connector.practice.agent import run_practice_agent  # noqa: PLC0415 - native libraries
    from connector.practice.options import faults_table, practice_options  # noqa: PLC0415

    if fault == ["list"]:
        typer.echo(faults_table())
        return
    setup_logs()
    options = practice_options(
        listen=listen,
        key=read_secret("MILLIS_PRIVATE_KEY"),
        codec=codec,
        greeting=greeting,
        reply=reply,
        pauses=pauses,
        record=record,
        faults=fault or [],
    )
    raise typer.Exit(asyncio.run(run_practice_agent(options)))
