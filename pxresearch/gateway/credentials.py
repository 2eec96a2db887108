"""The user name and the API key: from the environment or the system's keyring, never from a file.

I/O: reads the environment and, where the package `keyring` is installed, the system's keyring.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, util

from pxresearch.errors import UsageError

USER_VARIABLE, KEY_VARIABLE = "PROJECT_X_USERNAME", "PROJECT_X_API_KEY"
KEYRING_SERVICE = "pxresearch"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and its key; the key shows in no repr.

    Raises
    ------
    UsageError
        One of the two is missing, blank, or has a line break or a blank inside.
    """

    user_name: str
    api_key: str = field(repr=False)

    def __post_init__(self) -> None:
        _check("user name", USER_VARIABLE, self.user_name)
        _check("API key", KEY_VARIABLE, self.api_key)


def credentials(environ: Mapping[str, str] | None = None) -> Credentials:
    """Read the credentials.

    Parameters
    ----------
    environ
        Environment variables; those of the process when left out. What they do not hold is looked
        up in the keyring, service ``pxresearch``, user ``PROJECT_X_USERNAME`` or the user's name.

    Raises
    ------
    UsageError
        Missing, blank, or with stray characters; the text says which and what to do.
    """
    given = os.environ if environ is None else environ
    user = given.get(USER_VARIABLE)
    if user is None:
        user = _keyring(USER_VARIABLE)
    if user is None:
        raise UsageError(
            f"no user name: set {USER_VARIABLE} to your platform login (not the e-mail), and "
            f"{KEY_VARIABLE} to the API key"
        )
    _check("user name", USER_VARIABLE, user)
    key = given.get(KEY_VARIABLE)
    if key is None:
        key = _keyring(user)
    if key is None:
        raise UsageError(
            f"no API key for {user!r}: set {KEY_VARIABLE}, or store it with "
            f"'keyring set {KEYRING_SERVICE} {user}'"
        )
    return Credentials(user, key)


def _keyring(name: str) -> str | None:
    if util.find_spec("keyring") is None:
        return None
    return import_module("keyring").get_password(KEYRING_SERVICE, name)


def _check(what: str, variable: str, value: str) -> None:
    # The value itself is never shown: it may be the key, pasted into the wrong variable.
    if not value.strip():
        raise UsageError(f"the {what} is blank: set {variable}")
    if value != value.strip() or any(c in value for c in "\r\n\t"):
        raise UsageError(
            f"the {what} in {variable} has a blank or a line break at its end or inside; "
            "copy it again without"
        )
