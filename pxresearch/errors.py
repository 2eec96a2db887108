"""Every exception that pxresearch raises on purpose.

::

    PxError
    ├── UsageError            the call or the command line is wrong          (exit code 2)
    │   ├── StrategyError     a strategy class is wrong or raised
    │   └── UnknownName       a name that is not in a table; carries the nearest ones
    ├── DataError             what was read cannot be used                   (exit code 1)
    │   ├── AmbiguousInput    the file can be read in two ways; an option settles it
    │   ├── OffGridPrice      a price that is not a whole number of ticks
    │   ├── CatalogError      the catalogue holds nothing, or something else, for the request
    │   ├── CalendarError     an instant that the session table does not cover
    │   └── ContractMismatch  the venue and the shipped table disagree about a contract
    ├── StateError            what an account keeps on the disk              (exit code 1)
    │   └── AccountInUse      another process trades the account
    ├── JournalError          the journal cannot be written, or is damaged   (exit code 1)
    └── GatewayError          the ProjectX gateway                           (exit code 1)
        ├── LoginRefused      wrong credentials, no subscription, agreements not signed
        ├── NotReachable      no answer, or none that a read can use, after all attempts
        ├── NotUnderstood     an answer that is not what the API promises
        └── ReadRefused       the gateway answered a read with an error code of its own

A refusal by the risk manager is an expected answer, so it is a value, never an exception. So is
what becomes of an order: accepted, rejected or unknown (gateway/outcome.py).

I/O: none
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PxError(Exception):
    """Base of all deliberate errors; its text says what was received, allowed and what to do."""


class UsageError(PxError):
    """The call or the command line is wrong; nothing was done."""


class StrategyError(UsageError):
    """A strategy class is not valid, cannot be compiled, or raised while it ran."""


class UnknownName(UsageError):
    """A name that no table holds.

    Parameters
    ----------
    what
        The kind of thing that was named, for example ``"product"``.
    name
        The name as received.
    allowed
        The names that exist.
    """

    def __init__(self, what: str, name: str, allowed: Iterable[str]) -> None:
        self.what, self.name, self.allowed = what, name, sorted(allowed)
        near = difflib.get_close_matches(name, self.allowed, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        listed = ", ".join(self.allowed[:60])
        super().__init__(f"unknown {what} {name!r}.{hint} Known: {listed}.")


class DataError(PxError):
    """What was read cannot be used; the catalogue is as it was before."""


class AmbiguousInput(DataError):
    """The input can be read in more than one way; the text names the option that settles it."""


class OffGridPrice(DataError):
    """A price that is not a whole number of ticks; prices are never rounded silently."""


class CatalogError(DataError):
    """The catalogue holds nothing, or something else, for the request."""


class CalendarError(DataError):
    """An instant that the session table does not cover."""


class ContractMismatch(DataError):
    """The venue names another tick size or tick value than the shipped table: nothing starts."""


class StateError(PxError):
    """What an account keeps on the disk cannot be read or is not free; nothing is traded."""


class AccountInUse(StateError):
    """Another process trades the account; the text says which, where and since when."""


class JournalError(PxError):
    """A journal cannot be written or read, is damaged, or does not replay to what it says."""


class GatewayError(PxError):
    """The ProjectX gateway did not do what was asked; nothing was sent twice."""


class LoginRefused(GatewayError):
    """The gateway gives no token; the text tells credentials, subscription and agreements apart.

    Parameters
    ----------
    text
        For a trader.
    reason
        Name of the login's error code, for example ``"AgreementsNotSigned"``; None for a 401.
    """

    def __init__(self, text: str, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(text)


class NotReachable(GatewayError):
    """No answer that a read can use, after every attempt that is allowed."""


class NotUnderstood(GatewayError):
    """An answer that is not what the API promises; it is never guessed at."""


class ReadRefused(GatewayError):
    """The gateway answered a read with an error code.

    Parameters
    ----------
    operation
        Name of the operation, for example ``"Order/search"``.
    code, name
        The error code and its name in that operation's own table.
    message
        What the gateway wrote, if anything.
    """

    def __init__(self, operation: str, code: int, name: str, message: str | None) -> None:
        self.operation, self.code, self.name, self.message = operation, code, name, message
        said = f": {message}" if message else ""
        super().__init__(f"the gateway refused {operation} with code {code} ({name}){said}")
