"""The hand on the venue: faults, clock, quotes, trades, orders by hand, state and log.

As Python (`Simulator.control`) and over HTTP below ``/control``: a body is the same parameters as
JSON, an answer is JSON, and a mistake is HTTP 400 with ``{"error": text}``.

Prices are texts or numbers of the contract's currency, times of the clock seconds.

I/O: none
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from pxresearch.clock import NS, VirtualClock
from pxresearch.errors import PxError, UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.simulator import acts, render
from pxresearch.simulator.api import Venue
from pxresearch.simulator.fault_table import AT_ONCE, FAULTS
from pxresearch.simulator.listing import Listed
from pxresearch.simulator.messages import JSON, HttpRequest, Response


class _Quote(msgspec.Struct, rename="camel"):
    contract_id: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int = 1
    ask_size: int = 1


class _Trade(msgspec.Struct, rename="camel"):
    contract_id: str
    price: Decimal
    size: int = 1
    side: int = 0


class _Manual(msgspec.Struct, rename="camel"):
    account_id: int
    contract_id: str
    side: int
    size: int = 1
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class _Clock(msgspec.Struct, rename="camel"):
    advance_s: float | None = None
    to: str | int | None = None
    rows: int | None = None
    most: int | None = None


class Control:
    """What a test or a person can do to a venue.

    Parameters
    ----------
    venue
        The venue.
    clock
        Its clock where that is moved by hand.
    mode, speed
        How its clock runs, for whoever keeps time with it.
    """

    def __init__(
        self, venue: Venue, clock: VirtualClock | None = None, *, mode: str = "step",
        speed: float = 1.0,
    ) -> None:  # fmt: skip
        self._venue, self._clock = venue, clock
        self._mode, self._speed = mode, speed

    # ------------------------------------------------------------ faults
    def add(self, fault: str, **parameters: Any) -> int:
        """Arm a fault, or let one happen that is at once; its number."""
        venue, faults = self._venue, self._venue.faults
        number = faults.add(fault, venue.now(), **parameters)
        if FAULTS[fault].at(AT_ONCE) and not parameters.get("after_s"):
            armed = next(one for one in faults.armed() if one.id == number)
            faults.remove(number)
            acts.perform(venue, armed)
            venue.flush()
        return number

    def remove(self, number: int | None = None) -> None:
        """Disarm a fault, or all."""
        if number is None:
            self._venue.faults.clear()
        else:
            self._venue.faults.remove(number)

    def faults(self) -> list[dict[str, Any]]:
        """Faults that are still to happen."""
        return [msgspec.to_builtins(one) for one in self._venue.faults.armed()]

    # ------------------------------------------------------------ clock and market
    def advance(self, seconds: float) -> None:
        """Move a clock that is moved by hand, playing everything on the way in order."""
        if seconds < 0:
            raise UsageError(f"the clock goes forward only, received {seconds} seconds")
        self.advance_to(self._venue.now() + round(seconds * NS))

    def advance_to(self, ts: int, most: int | None = None) -> None:
        """The same up to a time, ns UTC, or over at most so many instants with something due."""
        clock = self._by_hand()
        for at in itertools.islice(self._venue.steps(ts), most):
            clock.advance(at)
            self._venue.advance()

    def step(self, rows: int = 1) -> None:
        """Move the clock to the next quote or trade, so many times."""
        for _ in range(rows):
            due = self._venue.next_due()
            if due is None:
                raise UsageError("the market's data is over; there is nothing to step to")
            self.advance_to(due)

    def _by_hand(self) -> VirtualClock:
        if self._clock is None:
            raise UsageError(
                "this simulator's clock runs by itself; start it with --clock step to move it"
            )
        return self._clock

    def quote(
        self, contract_id: str, bid: Decimal | None, ask: Decimal | None, bid_size: int = 1,
        ask_size: int = 1,
    ) -> None:  # fmt: skip
        """Move the market; None for an empty side."""
        listed = self._listed(contract_id)
        ticks = (_ticks(listed, bid), _ticks(listed, ask))
        self._venue.quote(contract_id, *ticks, bid_size, ask_size)

    def trade(self, contract_id: str, price: Decimal, size: int = 1, side: int = 0) -> None:
        """Print a trade; +1 bought, -1 sold, 0 unknown."""
        ticks = _ticks(self._listed(contract_id), price)
        assert ticks is not None
        self._venue.trade(contract_id, ticks, size, side)

    def manual(
        self, account_id: int, contract_id: str, side: int, size: int = 1,
        limit_price: Decimal | None = None, stop_price: Decimal | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Order by hand in the platform; +1 buy, -1 sell. The venue's answer."""
        kind = wire.OrderType.LIMIT if limit_price is not None else wire.OrderType.MARKET
        kind = wire.OrderType.STOP if stop_price is not None else kind
        answer = self._venue.exchange.manual(
            account_id, contract_id, side, size, type=kind, limit_price=limit_price,
            stop_price=stop_price, now=self._venue.now(),
        )  # fmt: skip
        self._venue.flush()
        return render.rest(answer)

    def _listed(self, contract_id: str) -> Listed:
        listed = {one.id: one for one in self._venue.exchange.listed}
        if contract_id not in listed:
            raise UnknownName("contract", contract_id, listed)
        return listed[contract_id]

    # ------------------------------------------------------------ looking
    def clock_state(self) -> dict[str, Any]:
        """The time, how it runs, when something is due, and what each connection was sent by now.

        Who moves the clock waits for those records before moving on; a connection is named by its
        client's port.
        """
        venue = self._venue
        return {
            "time": wire.to_iso(venue.now()), "ns": venue.now(), "mode": self._mode,
            "speed": self._speed, "next": venue.next_due(),
            "sent": {str(one.port): one.told for one in venue.switch.links},
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """How things are: time, accounts as they really are, connections, faults, counts."""
        venue = self._venue
        return {
            "time": wire.to_iso(venue.now()),
            "accounts": [self.truth(one) for one in venue.exchange.account_ids],
            "connections": [
                {"hub": one.hub, "owner": one.owner, "sent": one.sent, "waiting": one.waiting,
                 "leftOut": one.left_out}
                for one in venue.switch.links
            ],
            "faults": self.faults(),
            "happened": dict(venue.faults.happened),
            "eventsSent": dict(venue.switch.sent),
        }  # fmt: skip

    def truth(self, account_id: int) -> dict[str, Any]:
        """An account, its orders, positions and trades as the exchange has them."""
        truth = self._venue.exchange.truth(account_id)
        return {
            "owner": self._venue.exchange.owner(account_id),
            "account": render.rest(truth.account),
            "orders": [render.rest(one) for one in truth.orders],
            "positions": [render.rest(one) for one in truth.positions],
            "trades": [render.rest(one) for one in truth.trades],
        }

    def log(self, since: int = 0, kind: str = "", what: str = "") -> list[dict[str, Any]]:
        """Entries after a number, of a kind (request, event, trouble), about a path or target."""
        return self._venue.log.since(since, kind, what)

    # ------------------------------------------------------------ HTTP
    def handle(self, request: HttpRequest) -> Response:
        """Answer a request below ``/control``."""
        name = request.path.lower().removeprefix("/control").strip("/")
        act = _ROUTES.get((request.method, name))
        if act is None:
            known = ", ".join(f"{method} /control/{path}" for method, path in _ROUTES)
            return _json(404, {"error": f"{request.method} /control/{name}: there is {known}"})
        try:
            return _json(200, act(self, request) or {})
        except (PxError, msgspec.DecodeError, ValueError) as error:
            return _json(400, {"error": str(error)})


def _ticks(listed: Listed, price: Decimal | None) -> int | None:
    if price is None:
        return None
    ticks = listed.ticks(Decimal(str(price)))
    if ticks is None:
        raise UsageError(f"{price} is no price of {listed.id}, whose tick is {listed.price(1)}")
    return ticks


def _json(status: int, value: Any) -> Response:
    return Response(status=status, body=wire.encode(value), content_type=JSON)


def _add(control: Control, request: HttpRequest) -> dict[str, Any]:
    given = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    name = given.pop("fault", "")
    return {"id": control.add(name, **given)}


def _remove(control: Control, request: HttpRequest) -> None:
    number = request.query.get("id")
    control.remove(None if number is None else int(number))


def _clock(control: Control, request: HttpRequest) -> dict[str, Any]:
    if request.method == "POST":
        wish = msgspec.json.decode(request.body, type=_Clock)
        given = [one for one in (wish.advance_s, wish.to, wish.rows) if one is not None]
        if len(given) != 1:
            raise UsageError("give one of advanceS (seconds), to (a time), rows (quotes, trades)")
        if wish.rows is not None:
            control.step(wish.rows)
        elif wish.to is not None:
            to = wish.to if isinstance(wish.to, int) else wire.to_ns(wish.to)
            control.advance_to(to, wish.most)
        else:
            control.advance(wish.advance_s or 0.0)
    return control.clock_state()


def _quote(control: Control, request: HttpRequest) -> None:
    wish = msgspec.json.decode(request.body, type=_Quote)
    control.quote(wish.contract_id, wish.bid, wish.ask, wish.bid_size, wish.ask_size)


def _trade(control: Control, request: HttpRequest) -> None:
    wish = msgspec.json.decode(request.body, type=_Trade)
    control.trade(wish.contract_id, wish.price, wish.size, wish.side)


def _manual(control: Control, request: HttpRequest) -> dict[str, Any]:
    wish = msgspec.json.decode(request.body, type=_Manual)
    return control.manual(**msgspec.structs.asdict(wish))


def _log(control: Control, request: HttpRequest) -> dict[str, Any]:
    query = request.query
    since = int(query.get("since", "0"))
    return {"entries": control.log(since, query.get("kind", ""), query.get("what", ""))}


_ROUTES: dict[tuple[str, str], Callable[[Control, HttpRequest], Any]] = {
    ("GET", "state"): lambda control, _: control.state(),
    ("GET", "faults"): lambda control, _: {"faults": control.faults()},
    ("POST", "faults"): _add,
    ("DELETE", "faults"): _remove,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _clock,
    ("POST", "quote"): _quote,
    ("POST", "trade"): _trade,
    ("POST", "manual"): _manual,
    ("GET", "log"): _log,
}
