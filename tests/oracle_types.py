"""Plain data of the oracle. Imports nothing of pxresearch: names and numbers are retyped here."""

from __future__ import annotations

from dataclasses import dataclass, field

NO_BID, NO_ASK = -(2**31), 2**31 - 1
NEVER = 2**63 - 1
MINUTE = 60_000_000_000

ENTRY, STOP_LOSS, TARGET, EXIT = "entry", "stop_loss", "target", "flatten"
MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING = "market", "limit", "stop", "stop_limit", "trailing"
IN_FLIGHT, WORKING, FILLED, CANCELED, EXPIRED = (
    "in_flight", "working", "filled", "canceled", "expired",
)  # fmt: skip
BY_STRATEGY, SIBLING, CLOSED, SESSION_END, DEADLINE = (
    "strategy", "sibling_filled", "position_closed", "session_end", "flatten_deadline",
)  # fmt: skip
DAILY_LOSS, MAX_LOSS, PROFIT_LOCK, END_OF_DATA, STREAK = (
    "daily_loss_limit", "max_loss_limit", "daily_profit_lock", "end_of_data", "consecutive_losses",
)  # fmt: skip
MAX_ENTRY_SLOTS = 56


@dataclass
class Spec:
    """One contract of the run."""

    tick_value: int = 1_250_000  # micro-dollars
    cost: int = 610_000  # micro-dollars a contract and side
    dearer: int = 0  # what each further day adds to the cost
    size_tenths: int = 1
    cap: int = 10**9
    product: int = 0
    has_quotes: bool = True
    has_trades: bool = False
    bars_only: bool = False


@dataclass
class News:
    start: int
    end: int
    barred: tuple = ()
    capped: tuple = ()
    cap: int = 0


@dataclass
class Rules:
    """None or 0 switches a rule off."""

    start_balance: int = 50_000_000_000
    halted: bool = False
    max_loss: int | None = None
    max_loss_lock: int | None = None
    daily_loss: int | None = None
    loss_buffer: int = 0
    profit_lock: int | None = None
    max_tenths: int = 10**9
    tiers: tuple = ()  # (least balance, tenths), ascending
    max_order_qty: int = 10**9
    collar: int = 0
    rate: int = 0
    duplicate_ns: int = 0
    quote_age_ns: int = 0
    silence_ns: int = 0
    loss_count: int = 0
    loss_pause_ns: int = 0
    require_bracket: bool = False
    bracket_risk: bool = False
    mark_last: bool = False
    news: tuple = ()


@dataclass
class FillModel:
    limit_fill: str = "through"
    partial: bool = False
    slippage: int = 0
    stop_trigger: str = "trade"


@dataclass
class Latency:
    feed: list = field(default_factory=lambda: [0])
    entry: list = field(default_factory=lambda: [0])
    ack: list = field(default_factory=lambda: [0])


@dataclass
class Session:
    open: int
    close: int
    pause_from: int = 0
    pause_to: int = 0
    no_open_from: int = NEVER
    flatten_at: int = NEVER
    deadline: int = NEVER


@dataclass
class Quote:
    contract: int
    ts: int
    bid: int
    ask: int
    bid_sz: int = 1
    ask_sz: int = 1
    seq: int | None = None


@dataclass
class Trade:
    contract: int
    ts: int
    price: int
    size: int = 1
    side: int = 0
    seq: int | None = None
    from_bar: bool = False  # the open of a bar


@dataclass
class Bar:
    """A bar of a stream; prices in ticks."""

    contract: int
    open_ts: int
    ts: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 1
    seq: int | None = None


@dataclass
class Order:
    id: int
    parent: int
    contract: int
    side: int
    kind: str
    role: str
    qty: int
    decided: int
    active_from: int
    limit: int | None = None
    stop: int | None = None
    trail: int = 0
    tag: int = 0
    stop_ticks: int = 0
    target_ticks: int = 0
    stop_loss: int | None = None
    take_profit: int | None = None
    trailing_stop: bool = False
    status: str = IN_FLIGHT
    cause: str = ""
    filled: int = 0
    value: int = 0  # sum of quantity x price
    ended: int = 0
    triggered: bool = False
    best: int | None = None  # trailing: best reference since arrival
    ahead: int | None = None  # queue: None is unknown
    arrived_now: bool = False
    delay: int = 0  # feed + entry of this order
    cancel_at: int = NEVER
    cancel_cause: str = ""
    risk_ticks: int = 0  # stop distance that the bracket risk is judged by
    ratchets: bool = True  # bars alone: False while the bar that created it lasts
    in_range: bool = False  # bars alone: created in the range phase

    @property
    def left(self) -> int:
        return self.qty - self.filled

    @property
    def live(self) -> bool:
        return self.status in (IN_FLIGHT, WORKING)

    @property
    def child(self) -> bool:
        return self.role in (STOP_LOSS, TARGET)

    @property
    def bracketed(self) -> bool:
        return bool(
            self.stop_ticks or self.target_ticks
            or self.stop_loss is not None or self.take_profit is not None
        )  # fmt: skip


@dataclass
class Lot:
    side: int
    qty: int
    price: int
    ts: int
    order: int
    tag: int
    cost: int = 0  # a contract, at its own fill
    worst: int = 0  # ticks a contract, never above 0
    best: int = 0
    in_range: bool = False  # bars alone: opened by this bar's range


@dataclass
class OpenBar:
    """A bar in the making; prices in half ticks."""

    ts: int
    end: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    count: int


@dataclass
class State:
    """What the engine keeps for one contract."""

    spec: Spec
    session: Session | None = None
    in_session: bool = False
    bid: int | None = None
    ask: int | None = None
    bid_sz: int = 0
    ask_sz: int = 0
    quote_ts: int | None = None
    last: int | None = None
    last_ts: int | None = None
    event_ts: int | None = None
    bid_mark: int | None = None
    ask_mark: int | None = None
    last_mark: int | None = None
    lots: list = field(default_factory=list)
    seen: int = 0
    flattening: str = ""  # its cause
    bars: list = field(default_factory=list)  # OpenBar or None for each timeframe

    @property
    def position(self) -> int:
        return sum(lot.side * lot.qty for lot in self.lots)
