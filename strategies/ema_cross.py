"""Follow the faster of two moving averages of one-minute closes; every entry is bracketed.

What it does: when the fast average is above the slow one it wants to be long one contract, below it
short one. It enters at the market with a protective stop and a target resting at the exchange, and
when the averages cross it reverses in one order.

When it suits: sessions with a trend. What hurts it: a sideways market, in which it pays the spread
and the stop again and again; after a stop it enters anew with the next bar while the averages stand
as they did. Start with a stop of about the range of fifteen one-minute bars of your contract.
"""

import pxresearch as px


class EmaCross(px.Strategy):
    """Fast average above the slow one: long. Below: short. Always with stop and target."""

    bars = "1m"
    fast: int = 20  # bars
    slow: int = 60  # bars
    stop_ticks: int = 40
    target_ticks: int = 80

    fast_ema = px.state(px.Ema)
    slow_ema = px.state(px.Ema)

    def on_bar(self, bar, position):
        """Compare the averages on each closed bar."""
        fast = px.ema(self.fast_ema, bar.close, self.fast)
        slow = px.ema(self.slow_ema, bar.close, self.slow)
        if fast > slow and position <= 0:
            return px.buy(1 - position, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        if fast < slow and position >= 0:
            return px.sell(1 + position, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        return px.hold()
