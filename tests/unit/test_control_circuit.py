"""The circuit breaker towards Millis."""

from connector.control.circuit import OPEN_FOR_S, Circuit


def test_it_opens_and_lets_one_try() -> None:
    """Open for five minutes, then one session tries; the others wait for it."""
    circuit = Circuit()
    circuit.refused(100.0)
    assert circuit.is_open(100.0 + OPEN_FOR_S - 1)
    assert not circuit.is_open(100.0 + OPEN_FOR_S)
    circuit.started("s1")
    assert circuit.is_open(100.0 + OPEN_FOR_S)
    circuit.succeeded()
    assert (circuit.closed, circuit.is_open(500.0), circuit.again_at) == (True, False, None)


def test_a_try_without_a_word_on_the_key_lets_the_next_one_try() -> None:
    """A session that ended for another reason neither opens nor closes it; one that never tried changes nothing."""
    circuit = Circuit()
    circuit.refused(0.0)
    circuit.started("s1")
    circuit.ended("s0")
    assert circuit.is_open(OPEN_FOR_S)
    circuit.ended("s1")
    assert not circuit.is_open(OPEN_FOR_S)
    circuit.started("s2")
    circuit.refused(OPEN_FOR_S)
    assert circuit.again_at == 2 * OPEN_FOR_S


def test_while_closed_a_start_is_no_try() -> None:
    """Without a refusal any number of sessions start; a reset forgets a refusal."""
    circuit = Circuit()
    circuit.started("s1")
    assert not circuit.is_open(0.0)
    circuit.refused(0.0)
    circuit.reset()
    assert circuit.closed
