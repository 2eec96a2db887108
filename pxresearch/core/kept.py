"""Compiled code kept on disk: LLVM code and the machine code made from it, in one file.

numba's own cache keeps whole Python functions by the file they are written in. The engine and the
hooks of a strategy are kept here instead, by what they are made of: their key is a hash over it.

I/O: reads and writes files in a folder that the caller names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from llvmlite import binding as llvm


class Code:
    """Code ready to be called at an address, alive as long as this object."""

    def __init__(self, library: Any, symbol: str) -> None:
        self.library = library
        self.address: int = library.get_pointer_to_function(symbol)
        if self.address == 0:
            raise RuntimeError(f"the code does not hold {symbol}")


def _context() -> Any:
    from numba.core.registry import cpu_target

    return cpu_target.target_context


def key(*parts: object) -> str:
    """Hash over everything that decides what the code is, and over this machine and this numba."""
    import numba

    codegen = _context().codegen()
    whole = (*parts, numba.__version__, codegen.magic_tuple(), llvm.llvm_version_info)
    return hashlib.sha256(repr(whole).encode()).hexdigest()[:24]


def bitcode_of(library: Any, symbol: str, name: str) -> bytes:
    """LLVM code of a compiled library with one public function, `symbol`, under a name of its own.

    numba numbers its functions by process, so code of two processes can bear the same names; loaded
    together, one would be called for the other. All but the entry therefore becomes internal. The
    functions by which Python would call it hold addresses of their process, and are left out.
    """
    text = str(library._final_module)
    text = re.sub(r"(?ms)^define [^\n]*@(_ZN7cpython|cfunc\.)[^\n]*\{$.*?^\}$\n", "", text)
    text = re.sub(r"(?m)^define linkonce_odr ", "define internal ", text)
    text = re.sub(r"(?m)^(@\S+ = )common (local_unnamed_addr )?global", r"\1internal global", text)
    text = re.sub(rf"@{re.escape(symbol)}\b", f"@{name}", text)
    return llvm.parse_assembly(text).as_bitcode()


def ready(symbol: str, bitcode: bytes, machine: bytes | None = None) -> tuple[Code, bytes]:
    """Make LLVM code callable: (code, machine code); quick when the machine code is given.

    Raises
    ------
    RuntimeError
        The LLVM code is of a newer LLVM than this one.
    """
    context = _context()
    context.refresh()
    codegen = context.codegen()
    module = llvm.parse_bitcode(bitcode)
    module.triple = codegen._tm.triple
    module.data_layout = codegen._data_layout
    library = codegen.create_library("pxresearch_kept")
    library.enable_object_caching()
    if machine is not None:
        library._set_compiled_object(machine)
    library._final_module = module
    library._finalize_final_module()
    return Code(library, symbol), machine or library._get_compiled_object()


def read(path: Path) -> Code | None:
    """Code from a file that `write` wrote; None if there is none."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
            bitcode, machine = file.read(header["bitcode"]), file.read(header["machine"])
    except OSError:
        return None
    if len(machine) != header["machine"]:
        return None
    return ready(header["symbol"], bitcode, machine)[0]


def write(path: Path, symbol: str, bitcode: bytes, machine: bytes) -> None:
    """Keep code for the next run; a folder that cannot be written costs only time."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    header = {"symbol": symbol, "bitcode": len(bitcode), "machine": len(machine)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(json.dumps(header).encode() + b"\n" + bitcode + machine)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
