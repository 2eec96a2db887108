"""Trade the breakout of a session's first minutes, once a day, with a stop and a target.

What it does: from `start_minute` it notes the highest and the lowest price of `minutes` minutes.
When they are over it rests two stop orders: buy one tick above the range, sell one tick below. The
first to fill is the day's trade and takes the other away; a stop loss and a target protect it. What
has not filled by `last_minute` is cancelled, what is still open at `flat_minute` is closed.

When it suits: days with news, when the open is followed by one move. What hurts it: quiet days, on
which both ends of the range are touched and nothing follows; a gap through the stop, which fills at
the gap; and minute bars alone, which hide which end came first.
"""

import math

import pxresearch as px

MINUTE = 60_000_000_000  # ns
ABOVE, BELOW = 1, 2  # tags of the two orders
ENTRY = 0  # role of a fill that opens


class OpeningRange(px.Strategy):
    """Stop entries on both sides of the opening range; the first fill cancels the other."""

    bars = "1m"
    start_minute: int = 930  # after the session's open at 17:00 Chicago: 08:30, the cash open
    minutes: int = 15  # length of the range
    last_minute: int = 1200  # 13:00 Chicago: no entry from here on
    flat_minute: int = 1320  # 15:00 Chicago: closed at the market
    qty: int = 1
    stop_ticks: int = 24
    target_ticks: int = 48

    box = px.state(px.OpeningRange)
    session = px.state(int)  # trading day whose orders have been placed

    def on_bar(self, bar, position, orders):
        """Place both orders when the range is known; clear up by the clock."""
        start = bar.session_open + self.start_minute * MINUTE
        high, low = px.opening_range(self.box, bar.high, bar.low, bar.end, start, self.minutes)
        if bar.end >= bar.session_open + self.flat_minute * MINUTE:
            return px.flatten() if position != 0 or orders.working > 0 else px.hold()
        if bar.end >= bar.session_open + self.last_minute * MINUTE:
            return px.cancel() if orders.working > 0 else px.hold()
        if math.isnan(high) or self.session == bar.session or position != 0:
            return px.hold()
        self.session = bar.session
        # The middle of a quote can lie on half a tick: outwards to a whole one, and one more.
        above = (math.floor(high / bar.tick + 0.75) + 1) * bar.tick
        below = (math.ceil(low / bar.tick - 0.75) - 1) * bar.tick
        stop, target = self.stop_ticks, self.target_ticks
        return (
            px.buy(self.qty, stop=above, stop_ticks=stop, target_ticks=target, tag=ABOVE),
            px.sell(self.qty, stop=below, stop_ticks=stop, target_ticks=target, tag=BELOW),
        )

    def on_fill(self, fill):
        """One cancels the other."""
        if fill.role == ENTRY:
            return px.cancel(tag=BELOW if fill.tag == ABOVE else ABOVE)
        return px.hold()
