import pytest

from connector.base.fitness import unfit
from connector.base.secrets import Secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIVEKIT_API_KEY", "x"),
        ("LIVEKIT_API_SECRET", "s" * 32),
        ("LIVEKIT_API_SECRET", "ü" * 16),
        ("LIVEKIT_API_SECRET_2", "s" * 32),
        ("MILLIS_PRIVATE_KEY", "bearer-of-news"),
        ("REDIS_URL", "rediss://:pw@host/0"),
        ("REDIS_URL", "unix:///run/redis.sock"),
        ("CONNECTOR_EVENTS_SECRET", "whsec_" + "QUJD" * 8),
        ("CONNECTOR_EVENTS_SECRET", "QUJD" * 8),
    ],
)
def test_a_fit_secret_is_left_in_peace(name: str, value: str) -> None:
    """What has the right form is accepted."""
    assert unfit(name, Secret(value)) is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LIVEKIT_API_SECRET", "s" * 31, "31 bytes"),
        ("LIVEKIT_API_SECRET_2", "canary", "6 bytes"),
        ("MILLIS_PRIVATE_KEY", "Bearer canary", "the key alone"),
        ("REDIS_URL", "http://canary", "redis://, rediss:// or unix://"),
        ("CONNECTOR_EVENTS_SECRET", "whsec_canary", "openssl rand"),
        ("CONNECTOR_EVENTS_SECRET", "whsec_" + "QUJD" * 7, "24 to 64 bytes"),
        ("CONNECTOR_EVENTS_SECRET", "whsec_" + "QUJD" * 22, "24 to 64 bytes"),
    ],
)
def test_an_unfit_one_is_refused_in_a_line_that_does_not_show_it(name: str, value: str, says: str) -> None:
    """The line names the variable and the remedy."""
    problem = unfit(name, Secret(value))
    assert problem is not None
    assert problem.startswith(name)
    assert says in problem
    assert "canary" not in problem
