import inspect
from typing import Any

from connector.control.observer import Observer, Observers

METHODS = [name for name in vars(Observer) if not name.startswith("_")]


def test_everything_is_passed_on_to_every_observer() -> None:
    """Whatever an observer can be told reaches all of them, in order, with the same arguments."""
    told: list[tuple[int, str, tuple[object, ...], dict[str, object]]] = []

    class Listener(Observer):
        def __init__(self, number: int) -> None:
            self.number = number

        def __getattribute__(self, name: str) -> Any:
            if name not in METHODS:
                return super().__getattribute__(name)
            return lambda *given, **named: told.append((self.number, name, given, named))

    observers = Observers([Listener(1), Listener(2)])
    for name in METHODS:
        given, named = [], {}
        for parameter in inspect.signature(getattr(observers, name)).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                named[parameter.name] = f"{name} {parameter.name}"
            else:
                given.append(f"{name} {parameter.name}")
        getattr(observers, name)(*given, **named)
        assert told[-2:] == [(number, name, tuple(given), named) for number in (1, 2)]
