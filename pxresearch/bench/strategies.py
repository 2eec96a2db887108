"""The benchmark's strategies: workloads W1 to W3 and what makes an engine slow.

I/O: none
"""

from __future__ import annotations

from typing import Any

import pxresearch as px
from pxresearch.core.indicators import Ema, Sma, ema, sma
from pxresearch.strategy import Strategy, state


class W1(Strategy):
    """Always in the market with the cross of two averages of the mid; a flip is one order."""

    fast: int = 150
    slow: int = 600
    fast_ema = state(Ema)
    slow_ema = state(Ema)

    def on_quote(self, quote: Any, position: Any) -> Any:
        """Compare the averages on every quote."""
        fast = ema(self.fast_ema, quote.mid, self.fast)
        slow = ema(self.slow_ema, quote.mid, self.slow)
        if fast > slow and position <= 0:
            return px.buy(1 - position)
        if fast < slow and position >= 0:
            return px.sell(1 + position)
        return px.hold()


class W2(Strategy):
    """One lot with the cross when flat; stop 20 ticks, target 40 ticks."""

    fast: int = 150
    slow: int = 600
    fast_ema = state(Ema)
    slow_ema = state(Ema)

    def on_quote(self, quote: Any, position: Any, orders: Any) -> Any:
        """Enter when flat and nothing is under way."""
        fast = ema(self.fast_ema, quote.mid, self.fast)
        slow = ema(self.slow_ema, quote.mid, self.slow)
        if position != 0 or orders.working > 0 or fast != fast or slow != slow:
            return px.hold()
        if fast > slow:
            return px.buy(1, stop_ticks=20, target_ticks=40)
        return px.sell(1, stop_ticks=20, target_ticks=40)


class W3(Strategy):
    """Cross of two simple averages of one-minute closes."""

    bars = "1m"
    fast: int = 20
    slow: int = 100
    fast_sma = state(Sma, size=20)
    slow_sma = state(Sma, size=100)

    def on_bar(self, bar: Any, position: Any) -> Any:
        """Compare the averages on every bar."""
        fast = sma(self.fast_sma, bar.close, self.fast)
        slow = sma(self.slow_sma, bar.close, self.slow)
        if fast > slow and position <= 0:
            return px.buy(1 - position)
        if fast < slow and position >= 0:
            return px.sell(1 + position)
        return px.hold()


class OnBar(W3):
    """The same on bars that the engine builds from quotes, with brackets."""

    def on_bar(self, bar: Any, position: Any) -> Any:
        """Compare the averages on every bar."""
        fast = sma(self.fast_sma, bar.close, self.fast)
        slow = sma(self.slow_sma, bar.close, self.slow)
        if fast > slow and position <= 0:
            return px.buy(1 - position, stop_ticks=40, target_ticks=80)
        if fast < slow and position >= 0:
            return px.sell(1 + position, stop_ticks=40, target_ticks=80)
        return px.hold()


class Resting16(Strategy):
    """Sixteen limit orders around the market, laid anew when it has moved."""

    average = state(Ema)
    laid = state(int)
    anchor = state(int)

    def on_quote(self, quote: Any, position: Any) -> Any:
        """Lay four orders a call until sixteen rest; start again when the market has moved away."""
        ema(self.average, quote.mid, 150)
        if self.laid >= 4 and abs(quote.bid_ticks - self.anchor) > 30:
            self.laid = 0
            return px.cancel()
        if self.laid == 4:
            return px.hold()
        if self.laid == 0:
            self.anchor = quote.bid_ticks
        near = (self.anchor - 40 - 2 * self.laid) * quote.tick
        far = (self.anchor + 40 + 2 * self.laid) * quote.tick
        self.laid += 1
        return (
            px.buy(1, limit=near),
            px.buy(1, limit=near - quote.tick),
            px.sell(1, limit=far),
            px.sell(1, limit=far + quote.tick),
        )


class ReplaceEachTick(Strategy):
    """The worst case: one limit order cancelled and laid anew on every quote."""

    average = state(Ema)

    def on_quote(self, quote: Any, position: Any) -> Any:
        """Follow the bid eight ticks below."""
        ema(self.average, quote.mid, 150)
        return px.cancel(), px.buy(1, limit=quote.bid - 8 * quote.tick)


class W1Plain(Strategy):
    """W1 as plain arithmetic, for the uncompiled figure: each call costs plain Python dearly."""

    fast = state(float)
    slow = state(float)
    seen = state(int)

    def on_quote(self, quote: Any, position: Any) -> Any:
        """Compare the averages on every quote, after 600 of them."""
        mid = quote.mid
        if self.seen < 600:
            self.fast = mid if self.seen == 0 else self.fast
            self.slow = mid if self.seen == 0 else self.slow
            self.seen += 1
        self.fast = fast = self.fast + (mid - self.fast) * (2.0 / 151.0)
        self.slow = slow = self.slow + (mid - self.slow) * (2.0 / 601.0)
        if self.seen == 600:
            if fast > slow and position <= 0:
                return px.buy(1 - position)
            if fast < slow and position >= 0:
                return px.sell(1 + position)
        return None
