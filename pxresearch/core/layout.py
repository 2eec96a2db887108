"""Declared state: one description that gives a NumPy record and its uncompiled twin.

A strategy's state, and each indicator's, is plain data described by a `Layout`. Compiled code sees
it as a NumPy record (a bare pointer for numba, so that reading and writing it costs a load and a
store); uncompiled code sees a small Python object with the same attribute names. Both are made
from the same description, so they cannot drift apart.

I/O: none
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = -1  # stands for "the size that px.state(..., size=n) asks for" in a field's length


@dataclass(frozen=True, slots=True)
class Field:
    """One declared value: a number, or a vector of `length` numbers of the same kind.

    Parameters
    ----------
    name
        Attribute name.
    kind
        ``"f8"`` (float64) or ``"i8"`` (int64).
    length
        0 for a number, n for a vector of n, `SIZE` for a vector of the size asked for.
    """

    name: str
    kind: str = "f8"
    length: int = 0


class Cell:
    """The uncompiled twin of a record: attributes only, no behaviour."""

    def __repr__(self) -> str:
        return f"Cell({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


@dataclass(frozen=True, slots=True)
class Layout:
    """The declared fields of one piece of state.

    Parameters
    ----------
    name
        Shown in errors and reprs.
    fields
        In order of storage.
    default_size
        Length of `SIZE` vectors when none is asked for; 0 means that one must be given.
    """

    name: str
    fields: tuple[Field, ...]
    default_size: int = 0

    @property
    def sized(self) -> bool:
        """Whether a vector field takes the size asked for."""
        return any(f.length == SIZE for f in self.fields)

    def dtype(self, size: int = 0) -> np.dtype[Any]:
        """Record type with vectors of `size`; aligned, so that numba loads it directly."""
        spec: list[Any] = []
        for f in self.fields:
            length = size if f.length == SIZE else f.length
            spec.append((f.name, f.kind, (length,)) if length else (f.name, f.kind))
        return np.dtype(spec, align=True)

    def cell(self, size: int = 0) -> Cell:
        """A zeroed uncompiled twin with vectors of `size` as lists."""
        cell = Cell()
        for f in self.fields:
            zero: float | int = 0.0 if f.kind == "f8" else 0
            length = size if f.length == SIZE else f.length
            setattr(cell, f.name, [zero] * length if length else zero)
        return cell
