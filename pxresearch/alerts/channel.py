"""A channel: one way on which alerts leave, an apprise URL such as ``tgram://TOKEN/CHAT``.

A URL holds tokens and passwords, so it shows in no repr, no error and no log. A channel is named by
its service and its place in the list, and of what apprise says when it fails no more is kept than
the HTTP status. apprise and the libraries below it write URLs into their loggers: those are shut.

I/O: reads the environment and the keyring; the network.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pxresearch.alerts.alert import Alert, Level
from pxresearch.errors import UsageError
from pxresearch.gateway.credentials import look_up

VARIABLE = "PXRESEARCH_ALERTS"

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][\w+.-]*://)")
_STATUS = re.compile(r"error[=:]\s*(\d{3})\b")
_LONGEST = 1_400  # characters of a text; Telegram takes 4,096, an SMS service 1,600
_SHAPES: dict[str, str] = {Level.INFO: "info", Level.WARNING: "warning", Level.CRITICAL: "failure"}


class Channel:
    """One URL of apprise.

    Parameters
    ----------
    number
        Its place in the list, from 1.
    url
        The URL.

    Raises
    ------
    UsageError
        apprise cannot read the URL. The URL is not shown.
    """

    def __init__(self, number: int, url: str) -> None:
        service = _service(url)
        if service is None:
            raise UsageError(
                f"URL {number} of {VARIABLE} is none that apprise can read (it is not shown, for "
                "it may hold a token); see https://github.com/caronc/apprise/wiki for each "
                "service, and put blanks or line breaks between several"
            )
        self.name = f"{service.service_name} (URL {number})"
        self._service = service

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"

    def deliver(self, alert: Alert) -> str:
        """Try once, and wait for the answer. Blocks for the 4 s that apprise waits, and longer.

        Returns
        -------
        str
            Why it was not taken, in words without secrets; empty when it was.
        """
        _said.text = ""
        try:
            # not Apprise.notify: it works in threads that hold up the end of the process
            taken = self._service.notify(
                title=alert.title, body=alert.text[:_LONGEST] or alert.title,
                notify_type=_SHAPES.get(alert.level, "warning"),
                body_format=self._service.notify_format,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - a service may raise anything, with its URL in it
            return type(error).__name__
        return "" if taken else _said.text or "not taken"


def channels(environ: Mapping[str, str] | None = None) -> tuple[Channel, ...]:
    """Read the channels that alerts go to.

    Loads apprise, which takes a quarter of a second: call it before the trading loop runs.

    Parameters
    ----------
    environ
        Environment variables; those of the process when left out. PXRESEARCH_ALERTS holds one URL
        or several, with blanks or line breaks between them; without it the keyring is asked,
        service ``pxresearch``, user ``PXRESEARCH_ALERTS``.

    Returns
    -------
    tuple of Channel
        Empty when no URL is set.

    Raises
    ------
    UsageError
        A URL that apprise cannot read.
    """
    text = (look_up(VARIABLE, VARIABLE, environ) or "").strip()
    urls = enumerate(_BETWEEN.split(text), 1) if text else ()
    return tuple(Channel(number, url) for number, url in urls)


_said = threading.local()  # each channel is served by one thread


def _keep_reason(record: logging.LogRecord) -> bool:
    """Filter of apprise's logger: no record leaves it, and why a delivery failed is kept.

    Nowhere else does apprise tell that; only what cannot hold a secret is taken.
    """
    text = record.getMessage()
    if status := _STATUS.search(text):
        _said.text = f"HTTP {status[1]}"
    elif "onnection error" in text:
        _said.text = "no connection"
    return False


def _service(url: str) -> Any:
    """Service of a URL, out of apprise with its loggers shut; None where it has none."""
    log = logging.getLogger("apprise")
    log.setLevel(logging.WARNING)
    log.addFilter(_keep_reason)  # a second time changes nothing
    for below in ("urllib3", "requests_oauthlib", "oauthlib"):
        logging.getLogger(below).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first one loads every service, some of them dated
        apprise = import_module("apprise")
        service = apprise.Apprise.instantiate(url)
    if service is not None:
        service.notify_format = apprise.NotifyFormat.TEXT
    return service
