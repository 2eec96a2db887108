"""Every record, enum and reason code of the core, declared once.

Prices are integer ticks (bars: half ticks, because the middle of a quote can lie between two),
money is integer micro-dollars (10⁻⁶ USD), time is int64 ns UTC. Records are NumPy structured types:
compiled code gets them as bare pointers, which is what keeps the replay loop fast.

I/O: none
"""

from __future__ import annotations

from typing import Any

import numpy as np

# ---------------------------------------------------------------- limits of one engine
MAX_CONTRACTS = 8
MAX_ORDERS = 64  # slots; MAX_CONTRACTS of them are kept free for flatten orders
MAX_LOTS = 256  # FIFO lots a contract; an open position rarely has more than a few
MAX_FRAMES = 4  # timeframes a strategy may ask for
MAX_SIGNALS = 8  # signals one hook call may return
MAX_STREAMS = 2 * MAX_CONTRACTS
MAX_NOTICES = 256  # fills whose notice is still on its way
MAX_RATE = 256  # largest order rate limit a minute

NEVER = np.iinfo(np.int64).max  # an instant that does not come
NO_BID = np.iinfo(np.int32).min  # a missing bid: lower than any price, so nothing sells to it
NO_ASK = np.iinfo(np.int32).max  # a missing ask: higher than any price
LOWEST, HIGHEST = -(2**40), 2**40  # outside any price in ticks; also "no price"
MICROS = 1_000_000  # micro-dollars a dollar

# ---------------------------------------------------------------- enums (ints: numba reads them)
BUY, SELL = 1, -1

QUOTES, TRADES, BARS = 0, 1, 2  # stream kinds
GO, CLOCK, BEGIN, FINISH = 3, 4, 5, 6  # what else the engine can be told to do
# What a venue says of our orders (a: order id, 0 for none of ours), and what the outside may
# demand: core/live.py. A fill's d is the venue's number of it, negative for a sale.
VENUE_FILL, VENUE_ACK, VENUE_END, VENUE_CHANGE, COMMAND = 7, 8, 9, 10, 11
INPUTS = (
    "quote", "trade", "bars", "go", "clock", "begin", "finish", "venue_fill", "venue_ack",
    "venue_end", "venue_change", "command",
)  # fmt: skip

HALT, REARM, BLOCK, FLATTEN_NOW, TIGHTEN, ACCOUNT_IS, NUMBER_FROM, GAP = range(8)  # commands
COMMANDS = ("halt", "rearm", "block", "flatten", "tighten", "account_is", "number_from", "gap")
DAILY_LOSS_LIMIT, ORDER_QTY, SIZE_TENTHS = range(3)  # what a command can tighten
TIGHTENED = ("daily_loss_limit", "max_order_qty", "max_size")
# Why nothing that adds exposure passes: bits of the engine's `blocked`
BLOCKS = (
    "the account is not reconciled with the venue", "an order's outcome is unknown",
    "the journal cannot be written", "own figures differ from the venue's",
    "a hub is away", "a position is without its protection", "the session is ending",
    "the venue does not let the account trade",
)  # fmt: skip
(
    UNRECONCILED, UNKNOWN_OUTCOME, NO_JOURNAL, FIGURES_DIFFER, HUB_AWAY, UNPROTECTED, ENDING,
    CANNOT_TRADE,
) = (1 << i for i in range(8))  # fmt: skip
STREAM_NAMES = ("quotes", "trades", "bars")

HOLD, ORDER, CANCEL, FLATTEN = 0, 1, 2, 3  # what a signal asks for

MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING = 0, 1, 2, 3, 4
ORDER_KINDS = ("market", "limit", "stop", "stop_limit", "trailing")

ENTRY, STOP_LOSS, TARGET, EXIT = 0, 1, 2, 3  # an order's role; EXIT is a flatten order
ROLES = ("entry", "stop_loss", "target", "flatten")

FREE, IN_FLIGHT, WORKING, FILLED, CANCELED, REJECTED, EXPIRED, UNKNOWN = range(8)
STATUS_NAMES = (
    "free", "in_flight", "working", "filled", "canceled", "rejected", "expired", "unknown",
)  # fmt: skip

THROUGH, TOUCH, QUEUE = 0, 1, 2  # when a resting limit fills
LIMIT_FILLS = ("through", "touch", "queue")
UNKNOWN_QUEUE = -1  # our limit is behind the best price: nobody knows yet what stands ahead

TIME_BARS, TICK_BARS, VOLUME_BARS, RANGE_BARS, SESSION_BARS = 0, 1, 2, 3, 4

# Where a contract is in its session
BEFORE_OPEN, OPEN_BEFORE_PAUSE, PAUSED, OPEN, CLOSED = range(5)

# Which hook was called
ON_BAR, ON_QUOTE, ON_TRADE, ON_FILL, ON_SESSION, ON_GAP = range(6)
HOOKS = ("on_bar", "on_quote", "on_trade", "on_fill", "on_session", "on_gap")

# Why an order ended, a flatten began, or a risk event was written.
NO_CAUSE = 0
BY_STRATEGY = 1
SIBLING_FILLED = 2
POSITION_CLOSED = 3
SESSION_END = 4
DEADLINE = 5
DAILY_LOSS = 6
MAX_LOSS = 7
PROFIT_LOCK = 8
KILL_SWITCH = 9
END_OF_DATA = 10
LOSS_STREAK = 11
BY_HAND = 12  # not by the strategy: in the venue's platform, or by the venue
CONNECTION_LOST = 13
INTERRUPTED = 14
NO_PROTECTION = 15
REPEATED_ORDER = 16
OVERFILLED = 17  # at the venue, beyond what our order had left
CAUSES = (
    "", "strategy", "sibling_filled", "position_closed", "session_end", "flatten_deadline",
    "daily_loss_limit", "max_loss_limit", "daily_profit_lock", "kill_switch", "end_of_data",
    "consecutive_losses", "by_hand", "connection_lost", "interrupted", "no_protection",
    "repeated_order", "overfilled",
)  # fmt: skip

# Refusals, in the order in which they are judged; 0 is approved. docs/engine.md section 7.
REASONS = (
    "APPROVED", "BAD_CONTRACT", "BAD_QUANTITY", "BAD_PRICE", "OFF_GRID", "HALTED", "BLOCKED",
    "ACCOUNT_OVER", "DAY_LOCKED", "PROFIT_LOCKED", "REDUCE_ONLY", "FLATTENING", "SESSION_CLOSED",
    "AFTER_CUTOFF", "LOSS_PAUSE", "NEWS_WINDOW", "NOT_PERMITTED", "ORDER_SIZE", "NO_PRICE",
    "STALE_QUOTE",
    "WRONG_SIDE", "COLLAR", "SPREAD", "ORDER_VALUE", "BRACKET_MISSING", "SELF_TRADE", "DUPLICATE",
    "REPEATED", "RATE", "PRODUCT_CAP", "POSITION_CAP", "BRACKET_RISK", "TOO_MANY_ORDERS",
)  # fmt: skip
(
    APPROVED, BAD_CONTRACT, BAD_QUANTITY, BAD_PRICE, OFF_GRID, HALTED, BLOCKED,
    ACCOUNT_OVER, DAY_LOCKED, PROFIT_LOCKED, REDUCE_ONLY, FLATTENING, SESSION_CLOSED,
    AFTER_CUTOFF, LOSS_PAUSE, NEWS_WINDOW, NOT_PERMITTED, ORDER_SIZE, NO_PRICE,
    STALE_QUOTE,
    WRONG_SIDE, COLLAR, SPREAD, ORDER_VALUE, BRACKET_MISSING, SELF_TRADE, DUPLICATE,
    REPEATED, RATE, PRODUCT_CAP, POSITION_CAP, BRACKET_RISK, TOO_MANY_ORDERS,
) = range(len(REASONS))  # fmt: skip

# What a run of the loop stopped for.
DONE, DRAIN, HOOK_FAILED, OVERFLOW = 0, 1, 2, 3


def record(*fields: Any) -> np.dtype[Any]:
    """Aligned structured type from (name, kind[, length]) tuples."""
    return np.dtype(list(fields), align=True)


# ---------------------------------------------------------------- the calendar's rows
DAY = record(("date", "i4"), ("start", "i8"), ("end", "i8"))
SESSION = record(
    ("open", "i8"), ("close", "i8"), ("pause_from", "i8"), ("pause_to", "i8"),
    ("no_open_from", "i8"), ("flatten_at", "i8"), ("deadline", "i8"),
)  # fmt: skip
NEWS = record(
    ("start", "i8"), ("end", "i8"),
    ("barred", "i8"),  # bit k: no opening in contract k
    ("capped", "i8"),  # bit k: at most `cap` contracts worst case in contract k
    ("cap", "i8"),
)  # fmt: skip

# ---------------------------------------------------------------- what a signal and an order are
SIGNAL = record(
    ("kind", "i8"), ("side", "i8"), ("qty", "i8"), ("order", "i8"), ("contract", "i8"),
    ("tag", "i8"), ("trail", "i8"), ("stop_ticks", "i8"), ("target_ticks", "i8"),
    ("trailing_stop", "i8"),
    ("limit", "f8"), ("stop", "f8"), ("stop_loss", "f8"), ("take_profit", "f8"),
)  # fmt: skip
OPEN_ORDER = record(
    ("id", "i8"), ("parent", "i8"), ("contract", "i8"), ("side", "i8"), ("kind", "i8"),
    ("role", "i8"), ("status", "i8"), ("triggered", "i8"), ("qty", "i8"), ("filled", "i8"),
    ("limit", "i8"), ("stop", "i8"), ("trail", "i8"), ("best", "i8"), ("ahead", "i8"),
    ("tag", "i8"), ("decided", "i8"), ("active_from", "i8"), ("cancel_at", "i8"), ("born", "i8"),
    ("cause", "i8"), ("cancel_cause", "i8"), ("visited", "i8"), ("value", "i8"),
    # the bracket that the entry's fills will make
    ("bracket", "i8"), ("trailing_stop", "i8"), ("stop_ticks", "i8"), ("target_ticks", "i8"),
    ("stop_loss", "i8"), ("take_profit", "i8"), ("stop_distance", "i8"),
)  # fmt: skip
LOT = record(
    ("qty", "i8"), ("price", "i8"), ("ts", "i8"), ("order", "i8"), ("tag", "i8"), ("born", "i8"),
    ("in_range", "i8"),  # entered in the range phase of the bar event `born`
    ("cost", "i8"),  # a contract, at its own fill
    ("worst", "i8"), ("best", "i8"),  # marks since entry in ticks, signed so that more is better
)  # fmt: skip

# ---------------------------------------------------------------- one contract in one account
BAR = record(
    ("kind", "i8"), ("period", "i8"),  # ns, ticks, contracts or ticks of range
    ("ts", "i8"), ("end", "i8"),
    ("open", "i8"), ("high", "i8"), ("low", "i8"), ("close", "i8"),  # half ticks
    ("volume", "i8"), ("count", "i8"),
)  # fmt: skip
CONTRACT = record(
    # specification
    ("tick_num", "i8"), ("tick_den", "i8"), ("tick_value", "i8"), ("cost", "i8"),
    ("size_tenths", "i8"), ("cap", "i8"), ("product", "i8"),
    ("has_quotes", "i8"), ("has_trades", "i8"), ("bars_only", "i8"), ("quote_stops", "i8"),
    ("mark_trades", "i8"),  # positions are marked by trades, not by the exit side
    # session of the day
    ("session", SESSION), ("in_session", "i8"), ("opened", "i8"), ("flattening", "i8"),
    ("flatten_cause", "i8"), ("past_flatten", "i8"), ("orders", "i8"),
    ("buying", "i8"), ("selling", "i8"),  # live entry orders a side
    ("urgent", "i8"),  # live flatten orders and protective stops, which are visited first
    # market
    ("bid", "i8"), ("ask", "i8"), ("bid_sz", "i8"), ("ask_sz", "i8"), ("quote_ts", "i8"),
    ("last", "i8"), ("last_sz", "i8"), ("last_side", "i8"), ("last_ts", "i8"), ("event_ts", "i8"),
    ("mark_bid", "i8"), ("mark_ask", "i8"),  # exit prices last seen, LOWEST before the first
    ("mark", "i8"), ("marked", "i8"),
    # account
    ("position", "i8"), ("seen", "i8"), ("lot_head", "i8"), ("lot_count", "i8"),
    ("value_at_entry", "i8"),  # sum of lots, side * qty * price in ticks
    ("seg_hi", "i8"), ("seg_lo", "i8"), ("seg_dd", "i8"), ("seg_on", "i8"),
    # past these levels something may happen; inside them nothing can
    ("bid_lo", "i8"), ("bid_hi", "i8"), ("ask_lo", "i8"), ("ask_hi", "i8"),
    ("px_lo", "i8"), ("px_hi", "i8"),
    # the bar that every timeframe of this contract has in common since the last look
    ("run_n", "i8"), ("run_open", "i8"), ("run_high", "i8"), ("run_low", "i8"), ("run_close", "i8"),
    ("run_volume", "i8"),
    ("lots", LOT, (MAX_LOTS,)), ("frames", BAR, (MAX_FRAMES,)), ("done_bar", BAR),
)  # fmt: skip

# ---------------------------------------------------------------- the account's rules and state
RULES = record(
    ("max_loss", "i8"), ("max_loss_lock", "i8"), ("has_max_loss", "i8"), ("has_lock", "i8"),
    ("daily_loss", "i8"), ("has_daily_loss", "i8"),
    ("profit_lock", "i8"), ("has_profit_lock", "i8"),
    ("max_tenths", "i8"), ("max_order_qty", "i8"), ("collar", "i8"), ("rate", "i8"),
    ("duplicate_ns", "i8"), ("quote_age_ns", "i8"), ("silence_ns", "i8"),
    ("loss_count", "i8"), ("loss_pause_ns", "i8"), ("loss_buffer", "i8"),
    ("require_bracket", "i8"), ("bracket_risk", "i8"),
    ("spread", "i8"), ("order_value", "i8"), ("no_self_trade", "i8"), ("repeats", "i8"),
    ("tiers", "i8"), ("tier_from", "i8", (8,)), ("tier_tenths", "i8", (8,)),
)  # fmt: skip
FILL_MODEL = record(
    ("limit_fill", "i8"), ("partial", "i8"), ("slippage", "i8"),
)  # fmt: skip
NOTICE = record(
    ("due", "i8"), ("ts", "i8"), ("contract", "i8"), ("side", "i8"), ("qty", "i8"), ("price", "i8"),
    ("position", "i8"), ("order", "i8"), ("tag", "i8"), ("role", "i8"),
)  # fmt: skip
STREAM = record(
    ("kind", "i8"), ("contract", "i8"), ("n", "i8"), ("at", "i8"), ("next_ts", "i8"),
    ("size_mask", "i8"), ("seq_mask", "i8"),
    ("ts", "i8"), ("seq", "i8"), ("a", "i8"), ("b", "i8"), ("c", "i8"), ("d", "i8"),  # addresses
    ("volume", "i8"), ("open_ts", "i8"),
)  # fmt: skip
ENGINE = record(
    ("contracts_n", "i8"), ("frames_n", "i8"), ("now", "i8"), ("next_ts", "i8"), ("timer_ts", "i8"),
    ("events", "i8"),
    ("at_venue", "i8"),  # a venue fills the orders; nothing is matched here
    ("blocked", "i8"),  # bits of BLOCKS
    ("asked", "i8"),  # cancels asked of the venue
    ("dropped", "i8"), ("seq", "i8"), ("orders_made", "i8"), ("fills_made", "i8"), ("judged", "i8"),
    ("cancels", "i8"),  # orders whose cancel is under way
    ("look_closely", "i8"),  # a hook wants the account: no event is quiet
    ("live_n", "i8"), ("free_n", "i8"), ("dirty", "i8"), ("day_index", "i8"), ("day_date", "i8"),
    ("overflow", "i8"),  # a fixed table was full: the run stops rather than lose something
    ("day_end", "i8"), ("sample_at", "i8"), ("started", "i8"),
    # account
    ("balance", "i8"), ("start_balance", "i8"), ("day_start", "i8"), ("level", "i8"),
    ("locked", "i8"), ("profit_locked", "i8"), ("over", "i8"), ("halted", "i8"),
    ("loss_streak", "i8"), ("pause_until", "i8"), ("cap_tenths", "i8"), ("open_contracts", "i8"),
    ("realized", "i8"), ("costs", "i8"),
    # extremes of equity: of the run, the day and since the last equity sample
    ("peak", "i8"), ("drawdown", "i8"), ("day_min", "i8"), ("day_max", "i8"),
    ("day_drawdown", "i8"), ("day_peak", "i8"), ("low", "i8"), ("high", "i8"),
    ("min_room", "i8"),  # closest approach to the maximum loss level
    ("day_trades", "i8"), ("day_fills", "i8"), ("day_events", "i8"), ("day_costs", "i8"),
    ("day_in_market", "i8"), ("in_since", "i8"), ("last_sample", "i8"), ("last_balance", "i8"),
    # last approved order, for the duplicate check; times of approved orders, for the rate
    ("dup_ts", "i8"), ("dup_key", "i8", (7,)), ("same_n", "i8"), ("same_from", "i8"),
    ("rate_at", "i8"), ("rate_ts", "i8", (MAX_RATE,)),
    ("notice_head", "i8"), ("notice_count", "i8"),
    ("avail_buy", "i8"), ("avail_sell", "i8"),
    ("rules", RULES), ("fill", FILL_MODEL),
    ("live", "i8", (MAX_ORDERS,)),  # slots in use, in order of id
    ("free", "i8", (MAX_ORDERS,)),
    ("signal", SIGNAL, (MAX_SIGNALS,)), ("notice_ev", NOTICE),
    ("notices", NOTICE, (MAX_NOTICES,)), ("draft", OPEN_ORDER),
    ("order", OPEN_ORDER, (MAX_ORDERS,)),
    ("contract", CONTRACT, (MAX_CONTRACTS,)),
)  # fmt: skip

# ---------------------------------------------------------------- what the engine writes down
FILL_ROW = record(
    ("ts", "i8"), ("order", "i8"), ("contract", "i4"), ("side", "i4"), ("qty", "i8"),
    ("price", "i8"), ("cost", "i8"), ("realized", "i8"), ("position", "i8"), ("role", "i4"),
    ("cause", "i4"), ("slippage", "i4"), ("ambiguous", "i4"), ("seq", "i8"),
)  # fmt: skip
TRADE_ROW = record(
    ("contract", "i4"), ("side", "i4"), ("qty", "i8"), ("entry_ts", "i8"), ("exit_ts", "i8"),
    ("entry_price", "i8"), ("exit_price", "i8"), ("gross", "i8"), ("cost", "i8"), ("mae", "i8"),
    ("mfe", "i8"), ("entry_order", "i8"), ("exit_order", "i8"), ("tag", "i8"), ("exit_role", "i4"),
    ("exit_cause", "i4"), ("ambiguous", "i4"),
)  # fmt: skip
ORDER_ROW = record(
    ("id", "i8"), ("parent", "i8"), ("contract", "i4"), ("side", "i4"), ("kind", "i4"),
    ("role", "i4"), ("status", "i4"), ("cause", "i4"), ("qty", "i8"), ("filled", "i8"),
    ("limit", "i8"), ("stop", "i8"), ("trail", "i8"), ("stop_ticks", "i8"), ("target_ticks", "i8"),
    ("tag", "i8"), ("decided", "i8"), ("active_from", "i8"), ("ended", "i8"), ("value", "i8"),
)  # fmt: skip
REFUSAL_ROW = record(
    ("ts", "i8"), ("last_ts", "i8"), ("count", "i8"), ("contract", "i4"), ("side", "i4"),
    ("kind", "i4"), ("reason", "i4"), ("qty", "i8"), ("value", "i8"), ("limit", "i8"),
)  # fmt: skip
EQUITY_ROW = record(
    ("ts", "i8"), ("balance", "i8"), ("equity", "i8"), ("low", "i8"), ("high", "i8")
)
DAY_ROW = record(
    ("date", "i8"), ("start_balance", "i8"), ("end_balance", "i8"), ("end_equity", "i8"),
    ("costs", "i8"), ("trades", "i8"), ("fills", "i8"), ("events", "i8"), ("min_equity", "i8"),
    ("max_equity", "i8"), ("drawdown", "i8"), ("level", "i8"), ("in_market", "i8"),
    ("locked", "i4"), ("profit_locked", "i4"), ("over", "i4"), ("open_orders", "i4"),
    ("open_position", "i8"),
)  # fmt: skip
RISK_ROW = record(
    ("ts", "i8"), ("cause", "i8"), ("contract", "i8"), ("value", "i8"), ("limit", "i8"),
)  # fmt: skip
BAR_ROW = record(("contract", "i4"), ("frame", "i4"), ("bar", BAR))

LOGS = {
    "fills": FILL_ROW, "trades": TRADE_ROW, "orders": ORDER_ROW, "refusals": REFUSAL_ROW,
    "equity": EQUITY_ROW, "days": DAY_ROW, "risk": RISK_ROW, "bars": BAR_ROW,
}  # fmt: skip
LOG_NAMES = tuple(LOGS)
LOG_FILLS, LOG_TRADES, LOG_ORDERS, LOG_REFUSALS, LOG_EQUITY, LOG_DAYS, LOG_RISK, LOG_BARS = range(8)
LOG_MARGIN = 1024  # rows kept free, more than one event can write

# Addresses and counts of everything outside the engine record: no pointer is part of its state.
WIRES = record(
    ("engine", "i8"), ("strategy", "i8"),
    ("on_bar", "i8"), ("on_quote", "i8"), ("on_trade", "i8"), ("on_fill", "i8"),
    ("on_session", "i8"), ("on_gap", "i8"),
    ("days", "i8"), ("days_n", "i8"), ("sessions", "i8"), ("costs", "i8"),
    ("news", "i8"), ("news_n", "i8"),
    ("feed", "i8"), ("feed_n", "i8"), ("entry", "i8"), ("entry_n", "i8"), ("ack", "i8"),
    ("ack_n", "i8"),
    ("streams_n", "i8"), ("failed", "i8"), ("failed_hook", "i8"), ("failed_at", "i8"),
    ("bars_wanted", "i8"), ("plain_hooks", "i8"),
    # where the last quiet stretch ended (core/quiet.py)
    ("found_end", "i8"),
    # the event that a hook is called for alone: the stream after the last one points here
    ("one_ts", "i8"), ("one_a", "i4"), ("one_b", "i4"), ("one_c", "i4"), ("one_d", "i4"),
    ("log", "i8", (8,)), ("log_n", "i8", (8,)), ("log_cap", "i8", (8,)), ("drain", "i8"),
    ("stream", STREAM, (MAX_STREAMS + 1,)),
)  # fmt: skip
