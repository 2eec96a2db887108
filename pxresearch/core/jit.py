"""How the core is compiled: records by address, hooks by address, one cached entry per loop.

All state lives in records that are handed round as bare pointers; arrays in per-tick calls would
cost an atomic reference count each. A strategy is called through the address of its compiled
function, so the engine is compiled once, cached on disk, and never again for another strategy.

I/O: reads the core's own source once, to stamp the compilation cache.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pxresearch.core import records
from pxresearch.core.onemodule import CorePartCompiler, EntryCompiler

_NAMES = {
    getattr(records, name): name
    for name in dir(records)
    if isinstance(getattr(records, name), np.dtype)
}


@functools.cache
def record_type(dtype: np.dtype[Any]) -> Any:
    """numba's type of a record, under a short name.

    numba names a record by all its fields, and every function by its arguments: with the engine's
    record that is kilobytes a function, and seconds of compilation.
    """
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return types.NestedArray(dtype=record_type(base), shape=shape)
    if dtype.fields is None:
        return numba.from_dtype(dtype)
    fields = [
        (name, {"type": record_type(f[0]), "offset": f[1]}) for name, f in dtype.fields.items()
    ]
    made = types.Record(fields, dtype.itemsize, dtype.isalignedstruct)
    if dtype in _NAMES:
        made.name = f"px_{_NAMES[dtype]}"
    return made


ENGINE_T = record_type(records.ENGINE)
WIRES_T = record_type(records.WIRES)
DAY_T = record_type(records.DAY)
SESSION_T = record_type(records.SESSION)
NEWS_T = record_type(records.NEWS)
FILL_T = record_type(records.FILL_ROW)
TRADE_T = record_type(records.TRADE_ROW)
ORDER_T = record_type(records.ORDER_ROW)
REFUSAL_T = record_type(records.REFUSAL_ROW)
EQUITY_T = record_type(records.EQUITY_ROW)
DAYROW_T = record_type(records.DAY_ROW)
RISK_T = record_type(records.RISK_ROW)
BARROW_T = record_type(records.BAR_ROW)


def compiled(function: Callable[..., Any]) -> Any:
    """A part of the engine.

    numba would compile a part anew for each constant that it is called with; here a constant is an
    integer like any other, which halves the number of functions.
    """
    part: Any = numba.njit(error_model="numpy", pipeline_class=CorePartCompiler)(function)
    template = part.get_call_template

    def plain_template(args: Any, kws: Any) -> Any:
        return template(tuple(types.unliteral(a) for a in args), kws)

    part.get_call_template = plain_template
    return part


@functools.cache
def core_stamp() -> str:
    """One hash over every file of the core: numba itself looks at the entry's own file only."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> str:
    """Folder in which numba keeps compiled code for this package."""
    probe = cast(Any, CACHE_PROBE)
    return probe._cache.cache_path


class Entry:
    """A compiled function that Python calls: compiled on first call, for one signature.

    numba caches it on disk, under the stamp of the core. An entry with the name of a
    `prebuilt` file is taken from that if it is of this very source (core/prebuilt.py).
    """

    def __init__(self, function: Callable[..., Any], signature: str, prebuilt: str) -> None:
        functools.update_wrapper(self, function)
        self.signature = signature
        self.dispatcher: Any = numba.njit(
            cache=True, error_model="numpy", nogil=True, pipeline_class=EntryCompiler
        )(function)
        self._call: Callable[..., Any] | None = None
        self._prebuilt = prebuilt
        cache_file = getattr(self.dispatcher._cache, "_cache_file", None)
        if cache_file is not None:
            cache_file._source_stamp = core_stamp()

    def __call__(self, *args: Any) -> Any:
        """Call the compiled function."""
        if self._call is None:
            self._call = self._ready()
        return self._call(*args)

    def _ready(self) -> Callable[..., Any]:
        if self._prebuilt:
            from pxresearch.core import prebuilt

            found = prebuilt.load(self._prebuilt, core_stamp(), cache_folder())
            if found is not None:
                return found
        self.dispatcher.compile(self.signature)
        return self.dispatcher


def entry(signature: str, prebuilt: str = "") -> Callable[[Callable[..., Any]], Entry]:
    """Make a function an `Entry`."""
    return lambda function: Entry(function, signature, prebuilt)


def emitted(function: Callable[..., Any]) -> Any:
    """LLVM code by hand; a call from compiled code leaves out the typing context."""
    return intrinsic(function)


@emitted
def record_at(typingctx: Any, address: Any, record_type: Any) -> Any:
    """View the record of the given type at an address; nothing owns it, nothing is counted."""
    target = record_type.instance_type if isinstance(record_type, types.TypeRef) else None
    if target is None:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(target))

    return target(types.int64, record_type), codegen


@emitted
def address_of(typingctx: Any, rec: Any) -> Any:
    """Address of a record."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(rec), codegen


def _loader(bits: int, widen: bool = True) -> Any:
    @emitted
    def load(typingctx: Any, address: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            integer = ir.IntType(bits)
            pointer = builder.inttoptr(args[0], integer.as_pointer())
            value = builder.load(builder.gep(pointer, [args[1]]))
            return builder.sext(value, ir.IntType(64)) if widen and bits < 64 else value

        loaded = types.int64 if widen else types.int32
        return loaded(types.int64, types.int64), codegen

    return load


i8_at = _loader(64)
i4_at = _loader(32)
narrow_i4_at = _loader(32, widen=False)  # int32 as it is, for loops over many at a time
i1_at = _loader(8)


def _call(count: int) -> tuple[Any, Any]:
    """Signature and code of a call by address with `count` int64 arguments."""
    result = types.UniTuple(types.int64, 2)
    signature = result(*([types.int64] * (count + 1)))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        i64, i8p = ir.IntType(64), ir.IntType(8).as_pointer()
        numbers = [i64] * count
        native = ir.FunctionType(ir.IntType(32), [i64.as_pointer(), i8p.as_pointer(), *numbers])
        out = cgutils.alloca_once(builder, i64)
        error = cgutils.alloca_once(builder, i8p)
        pointer = builder.inttoptr(args[0], native.as_pointer())
        status = builder.call(pointer, [out, error, *args[1:]])
        status = builder.zext(status, i64)
        return context.make_tuple(builder, result, [status, builder.load(out)])

    return signature, codegen


@emitted
def call_hook(
    typingctx: Any, function: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any
) -> Any:
    """Call a compiled hook of seven int64 arguments by address.

    Returns (status, signals): a status other than 0 means that the hook raised.
    """
    return _call(7)


@emitted
def call_entry(
    typingctx: Any, function: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any,
    i: Any,
) -> Any:  # fmt: skip
    """Call a compiled entry of nine int64 arguments by address: (status, result)."""
    return _call(9)


@numba.njit(cache=True)
def CACHE_PROBE() -> int:
    """Never called: numba has chosen a writable cache folder for it."""
    return 0
