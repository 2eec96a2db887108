"""Where the gateway of a firm is: REST and both hubs, by name.

Sources: ProjectX documentation for TopstepX and the older demo host; the pattern of the other firms
from public clients (read 2026-11). Whether every one of them still serves is not known; `doctor`
tells.

I/O: none
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pxresearch.errors import UnknownName, UsageError

_FIRMS = {
    "alphaticks": "Alpha Ticks",
    "aquafutures": "Aqua Futures",
    "blueguardianfutures": "Blue Guardian Futures",
    "blusky": "BluSky",
    "bulenox": "Bulenox",
    "daytraders": "DayTraders",
    "e8": "E8",
    "fundingfutures": "Funding Futures",
    "futureselite": "Futures Elite",
    "fxifyfutures": "FXIFY Futures",
    "goatfundedfutures": "Goat Funded Futures",
    "holaprime": "Hola Prime",
    "nexgen": "NexGen",
    "thefuturesdesk": "The Futures Desk",
    "tickticktrader": "TickTickTrader",
    "toponefutures": "Top One Futures",
    "tx3funding": "TX3 Funding",
}
_HOSTS = {
    "topstepx": ("TopstepX", "https://api.topstepx.com", "https://rtc.topstepx.com"),
    "demo": (
        "ProjectX demo",
        "https://gateway-api-demo.s2f.projectx.com",
        "https://gateway-rtc-demo.s2f.projectx.com",
    ),
    "simulator": ("local simulator", "http://127.0.0.1:8800", "http://127.0.0.1:8800"),
    **{
        name: (firm, f"https://api.{name}.projectx.com", f"https://rtc.{name}.projectx.com")
        for name, firm in _FIRMS.items()
    },
}
PROFILES = tuple(sorted(_HOSTS))
"""Names that `profile` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A gateway.

    Attributes
    ----------
    name, firm
        As typed, and as people say it.
    rest
        Base URL of the REST calls; paths begin with ``/api``.
    user_hub, market_hub
        URLs of the hubs.
    automated_flag
        Whether ``isAutomated`` is sent with an order. The journal has the mark in any case.
    """

    name: str
    firm: str
    rest: str
    user_hub: str
    market_hub: str
    automated_flag: bool = True

    @property
    def is_local(self) -> bool:
        """Whether the gateway runs on this machine."""
        return urlsplit(self.rest).hostname in ("127.0.0.1", "localhost", "::1")


def profile(
    name: str, *, rest_url: str | None = None, hub_url: str | None = None, url: str | None = None,
    automated_flag: bool = True,
) -> Profile:  # fmt: skip
    """Return the gateway of this name.

    Parameters
    ----------
    name
        One of `PROFILES`.
    rest_url, hub_url
        Other base URLs; the hubs are ``hub_url + "/hubs/user"`` and ``"/hubs/market"``.
    url
        One base URL for all three.

    Raises
    ------
    UnknownName
        No such profile.
    UsageError
        A URL that is none, or a remote one without TLS: the key would go out readable.

    Examples
    --------
    >>> profile("simulator", url="http://127.0.0.1:8801").user_hub
    'http://127.0.0.1:8801/hubs/user'
    """
    found = _HOSTS.get(name.strip().lower())
    if found is None:
        raise UnknownName("gateway profile", name, _HOSTS)
    firm, rest, hubs = found
    rest = _base(rest_url or url or rest)
    hubs = _base(hub_url or url or hubs)
    return Profile(
        name=name.strip().lower(), firm=firm, rest=rest, user_hub=f"{hubs}/hubs/user",
        market_hub=f"{hubs}/hubs/market", automated_flag=automated_flag,
    )  # fmt: skip


def _base(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise UsageError(
            f"{url!r} is not a base URL; write for example https://api.topstepx.com or "
            "http://127.0.0.1:8800"
        )
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError(
            f"{url!r} is not encrypted, and the key would be readable on its way; write https://"
        )
    return url.strip().rstrip("/")
