"""Compile many small functions as one LLVM module.

numba optimises and emits each function together with everything it calls, so a chain of small
functions is compiled over and over: the engine took 94 s that way. Here a `part` is lowered only;
the entry links all parts that it reaches, and optimises and emits them once.

The two compiler classes are numba's documented extension point (`pipeline_class`); the library
classes rely on a few methods of `JITCodeLibrary`, which tests/test_prebuilt.py watches.

I/O: none
"""

from __future__ import annotations

import itertools
from typing import Any

from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode

_NUMBERS = itertools.count()


class _NoEnvironment:
    """A code generator that leaves a part's environment alone: Python never calls a part."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def set_env(self, env_name: str, env: Any) -> None:
        """Skip: there is no emitted code to give an environment to."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)


class PartLibrary(JITCodeLibrary):
    """Lowered code of one function; neither optimised nor emitted on its own."""

    _complete: Any = None

    @property
    def codegen(self) -> Any:
        """The code generator, without the step that needs emitted code."""
        return _NoEnvironment(self._codegen)

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Keep the module as it is."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """No function of a part can be called by itself."""
        return 0

    def raw_module(self) -> Any:
        """This function alone, ready to be linked."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """This function and all it calls, for an ordinary numba function that calls it."""
        if self._complete is None:
            module = self.raw_module().clone()
            for library in reach(self):
                module.link_in(_module(library), preserve=True)
            self._complete = module
        return self._complete


class EntryLibrary(JITCodeLibrary):
    """An entry: links every part it reaches, then optimises and emits once."""

    def finalize(self) -> None:
        """Link, optimise, emit."""
        for library in reach(self):
            self._final_module.link_in(_module(library), preserve=True)
        self._linking_libraries = []
        super().finalize()


def reach(library: Any) -> list[Any]:
    """All libraries that a library needs, each once, not itself; an ordinary one is complete."""
    seen: dict[int, Any] = {}
    waiting = list(library._linking_libraries)
    while waiting:
        found = waiting.pop()
        if id(found) not in seen:
            seen[id(found)] = found
            if isinstance(found, PartLibrary):
                waiting.extend(found._linking_libraries)
    return list(seen.values())


def _module(library: Any) -> Any:
    if isinstance(library, PartLibrary):
        return library.raw_module()
    return library._get_module_for_linking()


class _LibraryCompiler(Compiler):
    library_class: type[JITCodeLibrary] = JITCodeLibrary

    def __init__(
        self, typingctx: Any, targetctx: Any, library: Any, args: Any, return_type: Any,
        flags: Any, locals: Any,
    ) -> None:  # fmt: skip
        library = self.library_class(targetctx.codegen(), f"pxresearch_{next(_NUMBERS)}")
        library.enable_object_caching()
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)


class PartCompiler(_LibraryCompiler):
    """Compiles a part whose source is a user's: all of numba's passes."""

    library_class = PartLibrary

    def __init__(self, *args: Any) -> None:
        flags = args[5]
        flags.no_cpython_wrapper = True
        flags.no_cfunc_wrapper = True
        super().__init__(*args)


class InlinePartCompiler(PartCompiler):
    """Compiles a user's hook: inlined wherever it is called, so its state stays in registers."""

    def __init__(self, *args: Any) -> None:
        args[5].forceinline = True
        super().__init__(*args)


class CorePartCompiler(PartCompiler):
    """Compiles a part of ours: only the passes that plain scalar code needs."""

    def define_pipelines(self) -> list[Any]:
        """One pipeline of passes."""
        return [_plain_passes()]


class _LoopLower(Lower):
    """Lowers a loop over records that do not overlap, and says so to the optimiser.

    A store to the strategy's state then cannot change what the engine's records hold, so nothing is
    read twice, and the state's loads are replaced by registers.
    """

    def setup_function(self, fndesc: Any) -> None:
        """Mark the record arguments; keep the function on its own, or the marks are lost."""
        super().setup_function(fndesc)
        self.function.attributes.add("noinline")
        arguments = self.call_conv.get_arguments(self.function)
        for argument, kind in zip(arguments, fndesc.argtypes, strict=True):
            if isinstance(kind, types.Record):
                argument.add_attribute("noalias")
                argument.attributes.dereferenceable = kind.size
                argument.attributes.align = 8


@register_pass(mutates_CFG=True, analysis_only=False)
class _LoopLowering(NativeLowering):
    _name = "pxresearch_loop_lowering"

    @property
    def lowering_class(self) -> Any:
        return _LoopLower


class LoopCompiler(PartCompiler):
    """Compiles a loop whose record arguments do not overlap, each used for its own fields."""

    def define_pipelines(self) -> list[Any]:
        """One pipeline of passes."""
        return [_plain_passes(_LoopLowering)]


class EntryCompiler(_LibraryCompiler):
    """Compiles an entry."""

    library_class = EntryLibrary

    def define_pipelines(self) -> list[Any]:
        """One pipeline of passes."""
        return [_plain_passes()]


def _plain_passes(lowering: Any = NativeLowering) -> PassManager:
    manager = PassManager("pxresearch")
    for passed in (
        TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA, NopythonTypeInference,
        PreLowerStripPhis, IRLegalization, lowering, NoPythonBackend,
    ):  # fmt: skip
        manager.add_pass(passed, passed.__name__)
    manager.finalize()
    return manager


__all__ = [
    "CorePartCompiler",
    "EntryCompiler",
    "EntryLibrary",
    "InlinePartCompiler",
    "LoopCompiler",
    "PartCompiler",
    "PartLibrary",
    "reach",
]
