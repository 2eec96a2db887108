"""Lean against a stretched quote with a resting limit order.

What it does: it follows the middle of bid and ask with a moving average and measures how far the
quote usually strays from it. When the distance exceeds `width` standard deviations, and at least
`least_ticks`, it rests a limit order at the best price against the move: at the ask after a rise,
at the bid after a fall. It takes the order away when the stretch is gone or the market has left it
behind, and asks again at the new price. A filled order is left to its stop and its target.

When it suits: liquid contracts in quiet hours, where a push of a few ticks is given back. What
hurts it: trends and news, where it is filled exactly because the price goes on. A backtest fills a
limit only when the market trades through it; with `limit_fill = "touch"` the result is too good.
"""

import math

import pxresearch as px


class QuoteFade(px.Strategy):
    """Limit order against a move away from the average of the quote; bracket on every entry."""

    length: int = 500  # quotes in the averages
    width: float = 2.5  # standard deviations
    least_ticks: float = 3.0  # smallest stretch worth fading
    away_ticks: int = 2  # how far the market may leave the order behind
    qty: int = 1
    stop_ticks: int = 12
    target_ticks: int = 6

    mean = px.state(px.Ema)
    square = px.state(px.Ema)
    resting = px.state(int)  # price of the order, in ticks

    def on_session(self, session):
        """Begin anew with every session: yesterday's average says nothing after a gap."""
        if session.opening:
            self.mean.count = 0
            self.square.count = 0

    def on_quote(self, quote, position, orders):
        """Rest, keep or take away the order."""
        if math.isnan(quote.mid):
            return px.cancel() if orders.working > 0 else px.hold()
        mean = px.ema(self.mean, quote.mid, self.length)
        if math.isnan(mean):
            return px.hold()
        gap = quote.mid - mean
        square = px.ema(self.square, gap * gap, self.length)
        if math.isnan(square) or position != 0:
            return px.hold()
        limit = max(self.width * math.sqrt(square), self.least_ticks * quote.tick)
        if orders.working > 0:
            left = (
                quote.bid_ticks - self.resting
                if orders.buying > 0
                else self.resting - quote.ask_ticks
            )
            gone = gap > 0.0 if orders.buying > 0 else gap < 0.0
            return px.cancel() if gone or left > self.away_ticks else px.hold()
        if gap > limit:
            self.resting = quote.ask_ticks
            return px.sell(
                self.qty, limit=quote.ask, stop_ticks=self.stop_ticks,
                target_ticks=self.target_ticks,
            )  # fmt: skip
        if gap < -limit:
            self.resting = quote.bid_ticks
            return px.buy(
                self.qty, limit=quote.bid, stop_ticks=self.stop_ticks,
                target_ticks=self.target_ticks,
            )  # fmt: skip
        return px.hold()
