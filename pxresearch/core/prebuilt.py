"""The entries compiled ahead: optimised LLVM code that ships with the package.

Typing and lowering the engine takes numba ten to twenty seconds, and gives the same code on every
machine. So the result lies beside this file (engine.bc; venue.bc for the simulated venue), and a
first run only has to turn it into machine code (about a second), which is then kept in numba's
cache folder. A file is stamped with a hash over the core's source; with any other source it is
ignored and numba compiles as usual. After a change of the core,
`python -m pxresearch.core.prebuilt` writes them anew, and a test tells when that was forgotten.

I/O: reads engine.bc and venue.bc; reads and writes one file for each in numba's cache folder.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path

from pxresearch.core import kept
from pxresearch.core.jit import Entry, call_entry, core_stamp, entry

NAMES = ("engine", "venue")


def file_of(name: str) -> Path:
    """The shipped file of an entry."""
    return Path(__file__).with_name(f"{name}.bc")


def load(name: str, stamp: str, folder: str) -> Callable[..., int] | None:
    """An entry out of its file beside this module, or None if that is not of this source.

    Parameters
    ----------
    name
        ``engine`` or ``venue``.
    stamp
        Hash over the core's source.
    folder
        Where machine code is kept between runs.
    """
    try:
        with file_of(name).open("rb") as file:
            header = json.loads(file.readline())
            if header["stamp"] != stamp:
                return None
            path = Path(folder) / f"pxresearch-{name}-{kept.key(stamp)}.bin"
            code = kept.read(path)
            if code is None:
                bitcode = lzma.decompress(file.read())
                code, machine = kept.ready(header["symbol"], bitcode)
                kept.write(path, header["symbol"], bitcode, machine)
    except (OSError, RuntimeError):  # no such file, or an older LLVM than the one that wrote it
        return None
    return _callable(code)


@entry(f"int64({', '.join(['int64'] * 10)})")
def through(address, engine, wires, what, k, ts, a, b, c, d):
    """Call an entry at an address; -1 when it failed. ctypes would take three times as long."""
    status, code = call_entry(address, engine, wires, what, k, ts, a, b, c, d)
    return code if status == 0 else -1


def _callable(code: kept.Code) -> Callable[..., int]:
    address = code.address

    def drive(*args: int) -> int:
        answer = through(address, *args)
        if answer < 0:
            raise RuntimeError("compiled code failed; this is a defect of pxresearch")
        return answer

    drive.code = code  # type: ignore[attr-defined]  # keeps it alive
    return drive


def build() -> list[Path]:
    """Compile the entries with numba and write their files."""
    from pxresearch.core import replay, venue

    return [
        _write(name, made) for name, made in zip(NAMES, (replay.drive, venue.venue), strict=True)
    ]


def _write(name: str, made: Entry) -> Path:
    from numba.core.caching import NullCache

    dispatcher = made.dispatcher
    dispatcher._cache = NullCache()  # what comes out of the cache has no LLVM code any more
    dispatcher.compile(made.signature)
    result = dispatcher.overloads[dispatcher.signatures[0]]
    symbol = f"pxresearch_{name}_{core_stamp()[:24]}"
    header = {"stamp": core_stamp(), "symbol": symbol}
    packed = lzma.compress(kept.bitcode_of(result.library, result.fndesc.llvm_func_name, symbol))
    path = file_of(name)
    path.write_bytes(json.dumps(header).encode() + b"\n" + packed)
    return path


if __name__ == "__main__":
    build()
