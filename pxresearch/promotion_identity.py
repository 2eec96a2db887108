"""What exactly trades: what must be the same for a paper session to speak for a live one.

Money is micro-dollars, latencies ns.

I/O: none
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pxresearch.brokers.fillmodel import FillModel
from pxresearch.instruments import contract
from pxresearch.journal import Header
from pxresearch.programmes import Programme

RAMPED = ("max_size_tenths", "max_order_qty", "daily_loss_limit_micros")
"""Rules that the ramp of the first live days makes tighter (promotion_ramp)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What exactly trades.

    Attributes
    ----------
    strategy, source_hash
        Class, and :func:`source_hash` of its file.
    parameters
        Every parameter with its value, defaults included.
    contracts
        Codes, in the order in which the strategy sees them; the products are compared, so a roll to
        the next month changes nothing.
    programme, fills
        Every rule of the account, and how paper orders fill.
    """

    strategy: str
    source_hash: str
    parameters: Mapping[str, int | float | bool]
    contracts: tuple[str, ...]
    programme: Programme
    fills: FillModel

    @classmethod
    def of(cls, header: Header) -> Identity:
        """Identity of the session that a journal's header describes."""
        return cls(
            strategy=header.strategy,
            source_hash=source_hash(header.source),
            parameters=header.parameters,
            contracts=tuple(header.contracts),
            programme=header.programme,
            fills=header.fills,
        )

    def changes(self, wanted: Identity, *, ramp: bool = False) -> list[str]:
        """What would have to change to make this one the other, in words; empty when they agree.

        Parameters
        ----------
        ramp
            Pass over the rules that the ramp of the first live days makes tighter.
        """
        found = []
        if self.strategy != wanted.strategy:
            found.append(f"strategy {self.strategy} -> {wanted.strategy}")
        if self.source_hash != wanted.source_hash:
            found.append(f"source {self.source_hash[:8]} -> {wanted.source_hash[:8]}")
        if _products(self.contracts) != _products(wanted.contracts):
            found.append(f"contracts {listed(self.contracts)} -> {listed(wanted.contracts)}")
        found += _differing(self.parameters, wanted.parameters)
        passed = RAMPED if ramp else ()
        found += _differing(_rules(self.programme, passed), _rules(wanted.programme, passed))
        return found + _differing(_fills(self.fills), _fills(wanted.fills))


def source_hash(source: str) -> str:
    """SHA-256 of a strategy's source; how its lines end does not count, anything else does.

    Examples
    --------
    >>> source_hash("x = 1\\r\\n") == source_hash("x = 1\\n")
    True
    """
    plain = source.replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(plain.encode()).hexdigest()


def listed(codes: Sequence[str]) -> str:
    """Codes in words."""
    return ", ".join(codes)


def _products(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(contract(code).instrument.root for code in codes)


def _rules(programme: Programme, passed: Sequence[str]) -> dict[str, Any]:
    """Every rule by name; where a number was read is not a rule."""
    skip = {"source", *passed}
    rules = {f.name: getattr(programme, f.name) for f in fields(programme) if f.name not in skip}
    caps = [(one.root, one.max_contracts, one.valid_from) for one in programme.restrictions]
    return {**rules, "restrictions": caps}


def _fills(fills: FillModel) -> dict[str, Any]:
    plain = {f.name: getattr(fills, f.name) for f in fields(fills) if f.name != "latency"}
    delays = {
        f"{name} latency (ns)": tuple(fills.latency.samples(name).tolist())
        for name in ("feed", "entry", "ack")
    }
    return plain | delays


def _differing(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    names = sorted(own.keys() | wanted.keys())
    return [
        f"{name} {_short(own.get(name))} -> {_short(wanted.get(name))}"
        for name in names
        if own.get(name) != wanted.get(name) or type(own.get(name)) is not type(wanted.get(name))
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
