"""The engine compiled ahead: optimised LLVM code that ships with the package.

Typing and lowering the engine takes numba ten to twenty seconds, and gives the same code on every
machine. So the result lies beside this file, and a first run only has to turn it into machine code
(about a second), which is then kept in numba's cache folder. The file is stamped with a hash over
the core's source; with any other source it is ignored and numba compiles as usual. After a change
of the core, `python -m pxresearch.core.prebuilt` writes it anew, and a test tells when that was
forgotten.

I/O: reads engine.bc; reads and writes one file in numba's cache folder.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path

from pxresearch.core import kept
from pxresearch.core.jit import call_entry, entry

FILE = Path(__file__).with_name("engine.bc")


def load(stamp: str, folder: str) -> Callable[..., int] | None:
    """The engine's entry out of the file beside this module, or None if it is not for this source.

    Parameters
    ----------
    stamp
        Hash over the core's source.
    folder
        Where machine code is kept between runs.
    """
    try:
        with FILE.open("rb") as file:
            header = json.loads(file.readline())
            if header["stamp"] != stamp:
                return None
            path = Path(folder) / f"pxresearch-engine-{kept.key(stamp)}.bin"
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
    """Call the engine at an address; -1 when it failed. ctypes would take three times as long."""
    status, code = call_entry(address, engine, wires, what, k, ts, a, b, c, d)
    return code if status == 0 else -1


def _callable(code: kept.Code) -> Callable[..., int]:
    address = code.address

    def drive(*args: int) -> int:
        answer = through(address, *args)
        if answer < 0:
            raise RuntimeError("the compiled engine failed; this is a defect of pxresearch")
        return answer

    drive.code = code  # type: ignore[attr-defined]  # keeps it alive
    return drive


def build() -> Path:
    """Compile the engine with numba and write engine.bc."""
    from numba.core.caching import NullCache

    from pxresearch.core import jit, replay

    dispatcher = replay.drive.dispatcher
    dispatcher._cache = NullCache()  # what comes out of the cache has no LLVM code any more
    dispatcher.compile(replay.drive.signature)
    result = dispatcher.overloads[dispatcher.signatures[0]]
    name = f"pxresearch_engine_{jit.core_stamp()[:24]}"
    header = {"stamp": jit.core_stamp(), "symbol": name}
    packed = lzma.compress(kept.bitcode_of(result.library, result.fndesc.llvm_func_name, name))
    FILE.write_bytes(json.dumps(header).encode() + b"\n" + packed)
    return FILE


if __name__ == "__main__":
    build()
