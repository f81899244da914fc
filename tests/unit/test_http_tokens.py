"""LiveKit tokens: who signed, in force or not, for what."""

import base64
import hmac
import json
from datetime import timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from connector.base.secrets import Secret
from connector.config.secrets import Credentials
from connector.http.tokens import MAX_TOKEN_CHARS, Claims, KeyPair, TokenProblem, livekit_keys, verify
from tests.http_scene import FIRST, FOREIGN, SECOND, token

NOW = 1_800_000_000
KEYS = [FIRST, SECOND]


def made(pair: KeyPair = FIRST, **claims: object) -> str:
    """A token of the test's own time."""
    return token(pair, **{"nbf": NOW, "exp": NOW + 300, **claims})


def hand_made(header: object, payload: object, pair: KeyPair = FIRST) -> str:
    """A token with a good HS256 signature over anything."""
    parts = [
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=")
        for part in (header, payload)
    ]
    signed = b".".join(parts)
    digest = hmac.digest(pair.secret.reveal().encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


@pytest.mark.parametrize("pair", KEYS, ids=["first", "second"])
def test_both_keys_are_accepted(pair: KeyPair) -> None:
    """While keys are rotated, tokens of either count."""
    assert isinstance(verify(made(pair), KEYS, NOW), Claims)


def test_livekits_own_tokens_are_read() -> None:
    """A token made by LiveKit's library carries its grants over."""
    grants = api.VideoGrants(room_admin=True, room="lobby", room_list=True)
    key, secret = FIRST.key, FIRST.secret.reveal()
    text = api.AccessToken(key, secret).with_grants(grants).with_ttl(timedelta(minutes=1)).to_jwt()
    expires = jwt.decode(text, options={"verify_signature": False})["exp"]
    assert verify(text, KEYS, expires - 30) == Claims(float(expires), "", "lobby", room_admin=True, room_list=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", TokenProblem.MISSING),
        ("nonsense", TokenProblem.SHAPE),
        ("a.b.c", TokenProblem.SHAPE),
        ("ä.b." + "c" * 43, TokenProblem.SHAPE),
        ("a" * MAX_TOKEN_CHARS + "." + "." + "c" * 43, TokenProblem.SHAPE),
        ("a.b." + "c" * 43, TokenProblem.SIGNATURE),
        (made(FOREIGN), TokenProblem.SIGNATURE),
        (made(iss="second-key"), TokenProblem.CLAIMS),
        (made(iss=None), TokenProblem.CLAIMS),
        (made(exp=None), TokenProblem.CLAIMS),
        (made(exp="soon"), TokenProblem.CLAIMS),
        (made(exp=True), TokenProblem.CLAIMS),
        (made(exp=1e300), TokenProblem.CLAIMS),
        (made(aud="somebody else"), TokenProblem.CLAIMS),
        (made(exp=NOW - 60), TokenProblem.EXPIRED),
        (made(nbf=NOW + 61), TokenProblem.EARLY),
        (hand_made({"alg": "none"}, {"iss": "first-key", "exp": NOW + 9}), TokenProblem.CLAIMS),
        (hand_made({"alg": "HS512"}, {"iss": "first-key", "exp": NOW + 9}), TokenProblem.CLAIMS),
        (hand_made({"alg": "HS256"}, [1]), TokenProblem.CLAIMS),
        (hand_made({"alg": "HS256"}, b"[" * 2_000), TokenProblem.CLAIMS),
    ],
)
def test_what_is_wrong_with_a_token(text: str, problem: TokenProblem) -> None:
    """Each kind of bad token is told apart; none raises, a signature by our key over nonsense included."""
    assert verify(text, KEYS, NOW) is problem


def test_hostile_json_with_a_bad_signature_is_never_parsed() -> None:
    """A header nested so deep that a parser gives up is a bad signature like any other."""
    deep = base64.urlsafe_b64encode(b"[" * 4_000).decode().rstrip("=")
    assert verify(f"{deep}.{deep[:100]}.{'c' * 43}", KEYS, NOW) is TokenProblem.SIGNATURE


@pytest.mark.parametrize("skew", [-59, 59])
def test_clocks_may_differ_by_a_minute(skew: int) -> None:
    """A token is in force a minute before and after its time."""
    assert isinstance(verify(made(nbf=NOW - skew, exp=NOW - skew), KEYS, NOW), Claims)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{43}"))
def test_nothing_but_our_keys_makes_a_token_good(text: str) -> None:
    """Whatever text stands in the header, it is refused and nothing is raised."""
    assert isinstance(verify(text, KEYS, NOW), TokenProblem)


@pytest.mark.parametrize(
    "video",
    [None, [], {"roomAdmin": "true", "room": "lobby"}, {"roomAdmin": True, "room": "Lobby"}, {"roomAdmin": True}],
)
def test_only_the_exact_room_is_administered(video: object) -> None:
    """Grants count as LiveKit itself judges them: true, and for exactly this room."""
    claims = verify(made(video=video), KEYS, NOW)
    assert isinstance(claims, Claims)
    assert not claims.administers("lobby")


def test_a_token_covers_one_body() -> None:
    """The hash is of the raw bytes; any other text in its place covers nothing."""
    good = Claims(0.0, sha256="LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
    assert good.covers(b"hello")
    assert not good.covers(b"hello ")
    assert not Claims(0.0, sha256="ä").covers(b"hello")
    assert not Claims(0.0).covers(b"")


def test_the_keys_of_the_credentials() -> None:
    """One pair, or two while keys are rotated; a repr shows no secret."""
    one = Credentials(Secret("first-key"), FIRST.secret, Secret("millis"))
    two = Credentials(Secret("first-key"), FIRST.secret, Secret("millis"), Secret("second-key"), SECOND.secret)
    assert livekit_keys(one) == (FIRST,)
    assert livekit_keys(two) == (FIRST, SECOND)
    assert FIRST.secret.reveal() not in repr(livekit_keys(two))
