"""The runner: one strategy, one account, one loop that owns all state.

What happens arrives as events: the market and the account by the stream, time by a timer, commands
from a second terminal by files, the venue's answers by the broker. Each becomes an input of the
fold, in the order in which it came.

I/O: the network, the state folder.
"""

from pxresearch.runner.plan import LIVE, PAPER, Plan, RunnerSettings
from pxresearch.runner.runner import Ended, Runner
from pxresearch.runner.session import Connection

__all__ = ["LIVE", "PAPER", "Connection", "Ended", "Plan", "Runner", "RunnerSettings"]
