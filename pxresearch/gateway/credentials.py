"""The user name and the API key: from the environment or the system's keyring, never from a file.

No function here raises while a variable of it holds the key, so that not even a traceback that
shows variables shows the key.

I/O: reads the environment and, where the package `keyring` is installed, the system's keyring.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module, util

from pxresearch.errors import UsageError

USER_VARIABLE, KEY_VARIABLE = "PROJECT_X_USERNAME", "PROJECT_X_API_KEY"
KEYRING_SERVICE = "pxresearch"


class Credentials:
    """A user name and its key; the key shows in no repr.

    Raises
    ------
    UsageError
        One of the two is missing, blank, or has a line break or a blank at its end or inside.
    """

    __slots__ = ("_key", "user_name")

    def __init__(self, user_name: str, api_key: str) -> None:
        wrong = _wrong("user name", USER_VARIABLE, user_name)
        wrong = wrong or _wrong("API key", KEY_VARIABLE, api_key)
        self.user_name = user_name
        self._key = api_key
        del api_key
        if wrong:
            raise UsageError(wrong)

    def __repr__(self) -> str:
        return f"Credentials({self.user_name!r})"

    @property
    def api_key(self) -> str:
        """The key itself, to be sent."""
        return self._key


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
    user = look_up(USER_VARIABLE, USER_VARIABLE, environ)
    if user is None:
        raise UsageError(
            f"no user name: set {USER_VARIABLE} to your platform login (not the e-mail), and "
            f"{KEY_VARIABLE} to the API key"
        )
    if wrong := _wrong("user name", USER_VARIABLE, user):
        raise UsageError(wrong)
    if look_up(KEY_VARIABLE, user, environ) is None:
        raise UsageError(
            f"no API key for {user!r}: set {KEY_VARIABLE}, or store it with "
            f"'keyring set {KEYRING_SERVICE} {user}'"
        )
    return Credentials(user, look_up(KEY_VARIABLE, user, environ) or "")


def look_up(variable: str, entry: str, environ: Mapping[str, str] | None) -> str | None:
    """Secret out of the environment, else of the keyring; None where neither has it.

    Parameters
    ----------
    variable
        Name in the environment; a blank value counts as one.
    entry
        User name in the keyring, under the service ``pxresearch``.
    environ
        Environment variables; those of the process when None.

    Raises
    ------
    UsageError
        There is a keyring, and it cannot be read.
    """
    found = (os.environ if environ is None else environ).get(variable)
    return _from_keyring(variable, entry) if found is None else found


def _from_keyring(variable: str, entry: str) -> str | None:
    if util.find_spec("keyring") is None:
        return None
    broken: type[Exception] = import_module("keyring.errors").KeyringError
    try:
        return import_module("keyring").get_password(KEYRING_SERVICE, entry)
    except broken as error:
        why = str(error)
    raise UsageError(
        f"the keyring of this system cannot be read ({why}); set {variable} in the environment"
    )


def _wrong(what: str, variable: str, value: str) -> str | None:
    # The value itself is never told: it may be the key, pasted into the wrong variable.
    if not value.strip():
        return f"the {what} is blank: set {variable}"
    if value != value.strip() or any(c in value for c in "\r\n\t"):
        return (
            f"the {what} in {variable} has a blank or a line break at its end or inside; "
            "copy it again without"
        )
    return None
