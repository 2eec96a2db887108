"""What can be made to go wrong: each fault by name, with its parameters, from one seed.

A fault is armed with `Faults.add` and waits for its occasion: the next matching request, connection
or event. Those at once happen when they are due. The same seed, faults and requests give the same
failures.

I/O: none
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from pxresearch.clock import NS
from pxresearch.errors import UnknownName, UsageError
from pxresearch.simulator.fault_table import AT_ONCE, CHOICES, COMMON, FAULTS


class Fault(msgspec.Struct, kw_only=True):
    """An armed fault.

    Attributes
    ----------
    left
        How often it is still to happen; None: always.
    skip
        Occasions to let pass first.
    due
        ns UTC from which on it may happen.
    given
        Its own parameters, complete.
    """

    id: int
    name: str
    left: int | None
    skip: int
    probability: float
    due: int
    given: dict[str, Any]

    def __getitem__(self, parameter: str) -> Any:
        return self.given[parameter]


class Faults:
    """The faults of a venue.

    Parameters
    ----------
    seed
        Of every choice by chance.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._armed: dict[int, Fault] = {}
        self._numbers = itertools.count(1)
        self.happened: dict[str, int] = {}

    def add(self, name: str, now: int = 0, /, **parameters: Any) -> int:
        """Arm a fault; its number.

        Parameters
        ----------
        name
            One of `FAULTS`.
        now
            ns UTC.
        **parameters
            Its own, and of every fault: count (None: always), probability, after_s, skip.

        Raises
        ------
        UnknownName
            No such fault.
        UsageError
            A parameter it has not, or a value that cannot be.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise UnknownName("fault", name, FAULTS)
        allowed = {**COMMON, **kind.parameters}
        for key, value in parameters.items():
            _check(name, key, value, allowed)
        if kind.at(AT_ONCE) and parameters.get("count", 1) != 1:
            raise UsageError(f"{name} happens at once, so count must be 1; add it again instead")
        given = {key: parameters.get(key, default) for key, default in kind.parameters.items()}
        common = {key: parameters.get(key, default) for key, default in COMMON.items()}
        number = next(self._numbers)
        self._armed[number] = Fault(
            id=number, name=name, left=common["count"], skip=common["skip"],
            probability=common["probability"], due=now + round(common["after_s"] * NS),
            given=given,
        )  # fmt: skip
        return number

    def remove(self, number: int) -> None:
        """Disarm a fault; one that is over already is no error."""
        self._armed.pop(number, None)

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def armed(self) -> list[Fault]:
        """What is still to happen, in the order in which it was added."""
        return list(self._armed.values())

    def __bool__(self) -> bool:
        return bool(self._armed)

    # ------------------------------------------------------------ occasions
    def take(self, where: str, now: int, *, name: str = "", **facts: str) -> Iterator[Fault]:
        """Faults that happen now, at this place, to what `facts` describe; each is counted down."""
        for fault in list(self._armed.values()):
            kind = FAULTS[fault.name]
            if not kind.at(where, fault.given) or name not in ("", fault.name):
                continue
            if kind.only and facts["operation"] not in kind.only:
                continue
            if fault.due <= now and _matches(fault, facts) and self._happens(fault):
                yield fault

    def first(self, where: str, now: int, *, name: str = "", **facts: str) -> Fault | None:
        """The first that happens now; the others wait."""
        return next(self.take(where, now, name=name, **facts), None)

    def next_due(self) -> int | None:
        """When the next of those at once is due, ns UTC."""
        due = [one.due for one in self._armed.values() if FAULTS[one.name].at(AT_ONCE)]
        return min(due, default=None)

    def _happens(self, fault: Fault) -> bool:
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self._armed[fault.id]
        self.happened[fault.name] = self.happened.get(fault.name, 0) + 1
        return True


def _matches(fault: Fault, facts: dict[str, str]) -> bool:
    """Whether a fault means this occasion; a parameter that is empty means any."""
    for key, value in facts.items():
        wanted = fault.given.get(key, "")
        if wanted and str(wanted).lower() != value.lower():
            return False
    return True


def _check(name: str, key: str, value: Any, allowed: dict[str, Any]) -> None:
    if key not in allowed:
        raise UsageError(f"{name} has no parameter {key!r}; it has {', '.join(sorted(allowed))}")
    choices = CHOICES.get(key)
    if choices and value not in choices:
        raise UsageError(f"{name}: {key} must be one of {', '.join(choices)}; received {value!r}")
    default = allowed[key]
    if key == "count" and value is None:
        return
    kinds = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, kinds) or isinstance(value, bool) is not isinstance(default, bool):
        wanted = "number" if isinstance(default, float) else type(default).__name__
        raise UsageError(f"{name}: {key} must be a {wanted}, received {value!r}")
    if key == "count" and value < 1:
        raise UsageError(f"{name}: count must be 1 or more, or null for always, received {value}")
    if key == "probability" and not 0 < value <= 1:
        raise UsageError(f"{name}: probability must be above 0 and at most 1, received {value}")
    counted = key.endswith("_s") or key in ("seconds", "skip", "records")
    if counted and not 0 <= value < 10**9:
        raise UsageError(f"{name}: {key} must be 0 or more, received {value}")
