"""The token of a session that cannot be renewed: told, and flat while the old one still works.

The gateway's client renews well ahead of the end and tries again by itself. What is left to decide
is when a person has to know, and when to stop hoping: without a token nothing could be closed.

Times are seconds.

I/O: none
"""

from __future__ import annotations

from collections.abc import Callable

from pxresearch.core import records as r
from pxresearch.monitor import Topic
from pxresearch.runner.session import Session


class TokenWatch:
    """Looks at the token of one session.

    Parameters
    ----------
    halt
        Sets the kill switch for a reason and a cause, and flattens.
    """

    def __init__(self, session: Session, halt: Callable[[str, int], None]) -> None:
        self._s, self._halt = session, halt
        self._told = self._over = False

    def look(self) -> None:
        """Look at it once; costs nothing while it is renewed."""
        s, rest = self._s, self._s.at.rest
        why, left = rest.token_trouble, rest.token_left_s
        if not why:
            if self._told:
                s.alarms(Topic.TOKEN, "info", "the token is renewed again", subject="renewed")
            self._told = self._over = False
            return
        at = s.settings.token_s
        ends = "there is none" if left is None else f"it ends in {max(left, 0) / 60:.1f} min"
        if not self._told:
            self._told = True
            s.alarms(
                Topic.TOKEN, "warning", "the token is not renewed",
                f"{ends}: {why}. It is tried again by itself; with less than {at / 60:g} min left "
                "everything is flattened and the kill switch set, while the token still works.",
            )  # fmt: skip
        if not self._over and left is not None and left <= at and s.plan.live:
            self._over = True
            title = "the token is not renewed: flattening, and the kill switch is set"
            s.alarms(Topic.TOKEN, "critical", title, f"{ends}: {why}", "over")
            self._halt("the token cannot be renewed", r.CONNECTION_LOST)
