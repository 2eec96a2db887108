"""What speaks against this machine as a place to trade from: battery, Wi-Fi.

I/O: asks the operating system, where the package `psutil` is installed.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

from pxresearch.gateway.diagnosis import Check, Level

_WIRELESS = ("wl", "wi-fi", "wifi", "airport")
_VIRTUAL = ("lo", "docker", "veth", "br-", "virbr", "tun", "tap", "utun", "vethernet", "loopback")
_SLEEP = "switch sleep off in the system's settings while a bot runs; that cannot be read here"


def check_machine(psutil: Any = None) -> list[Check]:
    """Checks ``power`` and ``network card``; `psutil` stands in for the package of that name."""
    if psutil is None and util.find_spec("psutil"):
        psutil = import_module("psutil")
    if psutil is None:
        remedy = f"'pip install psutil' checks battery and Wi-Fi; {_SLEEP}"
        return [Check(name="machine", level=Level.SKIP, text="no psutil here", remedy=remedy)]
    return [_power(psutil), _network(psutil)]


def _power(psutil: Any) -> Check:
    read = getattr(psutil, "sensors_battery", None)
    battery = read() if read else None
    if battery is None:
        return Check(name="power", level=Level.OK, text="no battery: mains, or unknown")
    figures = {"percent": battery.percent, "plugged": battery.power_plugged}
    if battery.power_plugged:
        text = f"on mains, battery at {battery.percent:.0f} %"
        return Check(name="power", level=Level.OK, text=text, figures=figures)
    text = f"on battery, {battery.percent:.0f} % left"
    remedy = f"plug it in; {_SLEEP}"
    return Check(name="power", level=Level.WARN, text=text, remedy=remedy, figures=figures)


def _network(psutil: Any) -> Check:
    cards = [
        name for name, state in psutil.net_if_stats().items()
        if state.isup and not name.lower().startswith(_VIRTUAL)
    ]  # fmt: skip
    wireless = [name for name in cards if name.lower().startswith(_WIRELESS)]
    if wireless and len(wireless) == len(cards):
        return Check(
            name="network card", level=Level.WARN, text=f"Wi-Fi only ({', '.join(wireless)})",
            remedy="use a cable: Wi-Fi drops for seconds at a time",
        )  # fmt: skip
    text = f"up: {', '.join(cards) or 'none that is known'}"
    return Check(name="network card", level=Level.OK, text=text)
