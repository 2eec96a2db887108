"""Alerts: what one is, the ways on which it is sent, and the heartbeat for an outside monitor.

What deserves an alert is decided in `pxresearch.monitor`. Everything here runs off the trading
path: to send is to append to a queue, and threads of their own do the rest.

I/O: none here; the modules read the environment and the keyring, and use the network.
"""

from __future__ import annotations

from pxresearch.alerts.alert import Alert, Level
from pxresearch.alerts.channel import Channel, channels
from pxresearch.alerts.delivery import Alerts, Attempt
from pxresearch.alerts.heartbeat import Heartbeat, heartbeat

__all__ = ["Alert", "Alerts", "Attempt", "Channel", "Heartbeat", "Level", "channels", "heartbeat"]
