"""The keys of rooms.yaml as data."""

from connector.config.keys import homes_of, keys_of, known_keys

DESIGN = """
livekit.url millis.url millis.auth millis.ice_servers millis.ice_servers.urls millis.ice_servers.username
millis.ice_servers.credential_file worker.listen worker.private_listen worker.engines worker.max_sessions
worker.reconcile_every worker.drain_timeout worker.claims worker.agent_name worker.events worker.events.url
rooms.room rooms.agent rooms.agent.from rooms.agent.key rooms.agent.map rooms.agent.allow rooms.join rooms.min_humans
rooms.leave_after rooms.max_duration rooms.participant rooms.participant.identity rooms.participant.name rooms.listen
rooms.listen.sources rooms.listen.include rooms.listen.exclude rooms.listen.gain_db rooms.on_agent_hangup
rooms.reconnect rooms.reconnect.attempts rooms.reconnect.within rooms.agent_silence rooms.metadata
livekit millis worker defaults rooms
"""


def test_the_keys_are_those_of_the_contract() -> None:
    """Each of the design's keys, no other; defaults mirror the rules."""
    paths = {".".join(key.path) for key in keys_of()}
    mirrored = {path.replace("rooms.", "defaults.", 1) for path in DESIGN.split() if path.startswith("rooms.")}
    assert paths == set(DESIGN.split()) | (mirrored - {"defaults.room"})


def test_what_is_known_somewhere_is_known_by_its_place() -> None:
    """Positions in lists do not matter; nothing is known below a value."""
    assert known_keys(()) == ("livekit", "millis", "worker", "defaults", "rooms")
    assert known_keys(("rooms", 7, "reconnect")) == ("attempts", "within")
    assert known_keys(("rooms", 7, "metadata", "x")) == ()


def test_a_key_in_the_wrong_place_has_a_home() -> None:
    """As users write it."""
    assert homes_of("leave_after") == ("defaults", "rooms")
    assert homes_of("gain_db") == ("defaults.listen", "rooms.listen")
    assert homes_of("worker") == ("the top level",)
    assert homes_of("nothing") == ()
