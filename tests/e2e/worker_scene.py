"""A worker with a rule for one room, as the tests of this folder need it."""

from pathlib import Path

from connector.practice.livekit import LiveKitServer
from tests.worker_process import KEY, WorkerProcess

__all__ = ["KEY", "Worker"]

RULES = """
livekit: {{url: "{livekit}"}}
millis: {{url: "{millis}"}}
worker: {{reconcile_every: {every}, engines: {engines}, listen: "127.0.0.1:0", private_listen: "127.0.0.1:0", {worker}}}
defaults: {{leave_after: 1s, {defaults}}}
rooms:
  - {{room: "{room}", agent: {agent}}}
"""


class Worker(WorkerProcess):
    """`connector run` with one rule. Async context manager.

    Args:
        server: The LiveKit server.
        millis: URL of the practice agent.
        room: The room of the only rule, or a pattern.
        folder: For rooms.yaml.
        defaults: More of the rule, as YAML flow.
        agent: The rule's agent, as YAML flow.
        worker: More of the worker, as YAML flow.
        engines: How many.
        every: How often a pass looks at everything.
        environ: Variables that differ from the right ones.
    """

    def __init__(
        self,
        server: LiveKitServer,
        millis: str,
        room: str,
        folder: Path,
        *,
        defaults: str = "",
        agent: str = '"practice"',
        worker: str = "",
        engines: int = 1,
        every: str = "1s",
        environ: dict[str, str] | None = None,
    ) -> None:
        config = folder / "rooms.yaml"
        config.write_text(
            RULES.format(
                livekit=server.url,
                millis=millis,
                room=room,
                defaults=defaults,
                agent=agent,
                worker=worker,
                engines=engines,
                every=every,
            )
        )
        super().__init__(config, (server.api_key, server.api_secret.reveal()), environ)
        self.engine_count = engines

    async def ready(self) -> None:
        """Wait until the worker takes rooms with all its engines."""
        await self.engines_ready(self.engine_count)
