"""What an account keeps beside its journals: lock, kill switch, commands, own limits.

One folder an account, ``STATE/<account id>/``. Each file is small, replaced whole, and readable by
a person; a file that cannot be read is never taken for one that is not there.

I/O: none here; the modules read and write the folder.
"""

from __future__ import annotations

from pxresearch.accountdir.commands import Box, Command
from pxresearch.accountdir.folder import account_folder, account_ids
from pxresearch.accountdir.latch import Halt, Latch
from pxresearch.accountdir.limits import Limits
from pxresearch.accountdir.lock import AccountLock, Owner, owner

__all__ = [
    "AccountLock", "Box", "Command", "Halt", "Latch", "Limits", "Owner", "account_folder",
    "account_ids", "owner",
]  # fmt: skip
