"""The monitor: decides what of a session deserves an alert, and when it is over.

`Watch.look` is given the session's `Health` about once a second, `Watch.event` and its kin what
happens in between. Pure: it knows no clock and sends nothing.

I/O: none
"""

from __future__ import annotations

from pxresearch.alerts.alert import Alert, Level
from pxresearch.monitor.topics import Thresholds, Topic
from pxresearch.monitor.watch import Watch

__all__ = ["Alert", "Level", "Thresholds", "Topic", "Watch"]
