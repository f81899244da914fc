"""The scripts inside Redis do what the model of the unit tests does."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from connector.base.secrets import Secret
from connector.control import redis_scripts
from connector.control.leases import GAP_S, LEASE_S
from tests.lease_model import LeaseModel
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e

MARKS = st.sampled_from(["r0:x:", "r1:x:", "r1:"])
ROOMS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.dictionaries(ROOMS, st.integers(1, 6), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("claim"), MARKS, ROOMS, st.integers(1, 6)),
    st.tuples(st.just("beat"), MARKS, NUMBERS),
    st.tuples(st.just("release"), MARKS, NUMBERS),
    st.tuples(st.just("expire"), ROOMS),
)
LEASE_MS = int(LEASE_S * 1000)


class RealLeases:
    """The same steps, done by the scripts."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._claim = client.register_script(redis_scripts.CLAIM)
        self._beat = client.register_script(redis_scripts.BEAT)
        self._release = client.register_script(redis_scripts.RELEASE)

    def claim(self, mark: str, room: str, number: int) -> str:
        """The outcome, as a word."""
        keys, least = [f"lease:{room}", f"replica:{mark}"], int((LEASE_S - GAP_S) * 1000)
        return str(self._claim(keys, [mark, number, LEASE_MS, least]).decode())

    def beat(self, mark: str, held: dict[str, int]) -> list[int]:
        """A result for each lease."""
        keys = [f"replica:{mark}", "replicas", *(f"lease:{room}" for room in held)]
        answer = self._beat(keys, [mark, "{}", mark, LEASE_MS, "replica:", *held.values()])
        return list(answer[2])

    def release(self, mark: str, leaving: dict[str, int]) -> int:
        """How many leases were looked at."""
        return int(self._release([f"lease:{room}" for room in leaving], [mark, *leaving.values()]))

    def expire(self, room: str) -> None:
        """The lease runs out."""
        self._client.delete(f"lease:{room}")

    def lease(self, room: str) -> tuple[str, int] | None:
        """Who holds a room, and the claim's number."""
        value = self._client.get(f"lease:{room}")
        if value is None:
            return None
        mark, _, number = value.decode().rpartition(":")
        return f"{mark}:", int(number)


async def test_the_scripts_and_the_model_agree() -> None:
    """Any order of claims, renewals, releases and expiries has the same results and leaves the same leases."""

    @settings(max_examples=300)
    @given(st.lists(STEPS, max_size=25))
    def agree(url: Secret, steps: list[tuple[Any, ...]]) -> None:
        with Redis.from_url(url.reveal()) as client:
            client.flushall()
            real, model = RealLeases(client), LeaseModel()
            for name, *arguments in steps:
                assert getattr(real, name)(*arguments) == getattr(model, name)(*arguments), (name, arguments)
                for room in "abc":
                    assert real.lease(room) == model.lease(room)
                    assert (client.pttl(f"lease:{room}") > 0) == (model.lease(room) is not None)

    async with RedisServer() as server:
        await asyncio.to_thread(agree, server.url)
