"""Trades at random, in every way: markets, limits, stops, brackets, reversals, cancels."""

import pxresearch as px


class CrashProbe(px.Strategy):
    """A dice at each quote; its state is all that it knows."""

    seed: int = 1
    often: int = 25  # of 100 quotes
    stop_ticks: int = 6
    target_ticks: int = 6

    roll = px.state(int)

    def on_quote(self, quote, position, orders):
        """Roll, and do what comes."""
        self.roll = (self.roll * 1103515245 + 12345 + self.seed) % 2147483648
        dice = (self.roll >> 8) % 1000
        if dice % 100 >= self.often:
            return px.hold()
        what, qty = dice // 100, 1 + dice % 2
        if what == 9:
            return px.cancel()
        if position != 0 and what == 8:
            return px.flatten()
        if position > 0 and what == 7:
            return px.sell(position + 1, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        if position < 0 and what == 7:
            return px.buy(1 - position, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        if position > 0 and what == 6:
            return px.sell(1)
        if position < 0 and what == 6:
            return px.buy(1)
        if position != 0 or orders.working > 0:
            return px.hold()
        near = 1 + dice % 3
        if what == 5:
            return px.buy(
                qty,
                stop=quote.ask + near * quote.tick,
                stop_ticks=self.stop_ticks,
                target_ticks=self.target_ticks,
            )
        if what == 4:
            return px.sell(
                qty,
                limit=quote.ask + near * quote.tick,
                stop_ticks=self.stop_ticks,
                target_ticks=self.target_ticks,
            )
        if what == 3:
            return px.buy(
                qty,
                limit=quote.bid - near * quote.tick,
                stop_ticks=self.stop_ticks,
                target_ticks=self.target_ticks,
            )
        if what == 2:
            return px.sell(qty, stop_ticks=self.stop_ticks, target_ticks=self.target_ticks)
        return px.buy(qty, stop_ticks=self.stop_ticks)

    def on_gap(self, gap, position):
        """The dice lands elsewhere; what is held may go."""
        self.roll = (self.roll + gap.until - gap.since) % 2147483648
        if position != 0 and self.roll % 2 == 0:
            return px.flatten()
        return px.hold()
