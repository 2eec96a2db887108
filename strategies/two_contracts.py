"""Trade the ratio of two contracts: sell the dear one, buy the cheap one, wait for the way back.

What it does: after each minute in which both contracts moved it takes the logarithm of their price
ratio and compares it with its own last `window` minutes. `enter` standard deviations from the mean
it sells the first and buys the second contract, or the reverse; `leave` from the mean it closes
both. `give_up` standard deviations away it closes both at a loss and waits until the ratio has been
back. Each leg has a stop of its own. When one is hit the other leg is closed at once; when one leg
was refused, the other is closed after the minute.

When it suits: two contracts that the same news moves (MNQ and MES, ES and YM), the legs sized to
about equal money. What hurts it: the day on which they part for good, and costs: a trade pays two
spreads and four sides. The legs are two orders; between their fills the position is one-sided.
"""

import math

import pxresearch as px

STOP_LOSS = 1  # role of a fill


class TwoContracts(px.Strategy):
    """Z-score of the price ratio of contracts 0 and 1; both legs in, both legs out."""

    bars = "1m"
    window: int = 60  # minutes, up to 500
    enter: float = 2.0  # standard deviations
    leave: float = 0.5
    give_up: float = 4.0
    qty_0: int = 1
    qty_1: int = 1
    stop_ticks_0: int = 120
    stop_ticks_1: int = 60

    ratio = px.state(px.ZScore, size=500)
    close = px.state(float, size=2)
    end = px.state(int, size=2)  # of the last bar of each contract, ns
    waiting = px.state(bool)  # gave up; no entry before the ratio is back

    def on_bar(self, bar, position, orders, account):
        """Compare once both bars of a minute are there."""
        self.close[bar.contract] = bar.close
        self.end[bar.contract] = bar.end
        if self.end[0] != self.end[1] or self.close[0] <= 0.0 or self.close[1] <= 0.0:
            return px.hold()
        z = px.zscore(self.ratio, math.log(self.close[0] / self.close[1]), self.window)
        first, second = account.positions[0], account.positions[1]
        if first != 0 or second != 0:
            torn = first == 0 or second == 0
            if abs(z) >= self.give_up:
                self.waiting = True
            if torn or abs(z) <= self.leave or abs(z) >= self.give_up:
                return px.flatten(contract=0), px.flatten(contract=1)
            return px.hold()
        if abs(z) <= self.leave:
            self.waiting = False
        if math.isnan(z) or abs(z) < self.enter or abs(z) >= self.give_up or self.waiting:
            return px.hold()
        if z > 0.0:
            return (
                px.sell(self.qty_0, stop_ticks=self.stop_ticks_0, contract=0),
                px.buy(self.qty_1, stop_ticks=self.stop_ticks_1, contract=1),
            )
        return (
            px.buy(self.qty_0, stop_ticks=self.stop_ticks_0, contract=0),
            px.sell(self.qty_1, stop_ticks=self.stop_ticks_1, contract=1),
        )

    def on_fill(self, fill):
        """A leg was stopped out: close the other."""
        if fill.role == STOP_LOSS:
            return px.flatten(contract=1 - fill.contract)
        return px.hold()
