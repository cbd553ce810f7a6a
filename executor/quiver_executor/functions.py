"""Opening users' functions in a slot: once per stage where a function can keep nothing between tasks, else afresh for every task.

A function that remembers (a closure over a list, a counter in its globals, a mutable default) would otherwise carry one task's state
into the next, depending on which slot ran which task.
"""

from __future__ import annotations

import functools
import opcode
import operator
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, Literal

from quiver_proto import ops
from quiver_proto.accumulators import Accumulator
from quiver_proto.broadcast import Broadcast

_STORES = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR") if name in opcode.opmap)
_STORE_DEREF = opcode.opmap["STORE_DEREF"]
_IMMUTABLE = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), types.CodeType)
_BUILTIN = (types.MethodDescriptorType, types.WrapperDescriptorType, types.GetSetDescriptorType)
_ACCESSORS = (operator.itemgetter, operator.attrgetter)
_DEPTH = 8
_KIND = 0x4 | 0x8 | 0x20 | 0x80 | 0x100 | 0x200
"""The co_flags that say what a call does: *args, **kwargs, generators and coroutines. Others say where it was written (nested, under
a `from __future__`)."""


class Operator:
    """One use of a function in a stage: `number` is its place among the stage's functions."""

    __slots__ = ("function", "is_flat", "number")

    def __init__(self, number: int, function: ops.Function, is_flat: bool) -> None:
        self.number = number
        self.function = function
        self.is_flat = is_flat
        """The function's result is iterated later, outside its own frame."""


class Functions:
    """All functions of a stage, in the order in which `add` saw them."""

    def __init__(self) -> None:
        self.operators: list[Operator] = []
        self.source = ops.CallSite("", "", 0)
        """The stage's first call site."""
        self._reopened: tuple[int, ...] = ()
        self._first: list[Callable[..., Any]] = []

    def add(self, function: ops.Function, is_flat: bool = False) -> int:
        number = len(self.operators)
        self.operators.append(Operator(number, function, is_flat))
        return number

    def number_of(self, function: ops.Function) -> int:
        """The place of a function that was added."""
        return next(one.number for one in self.operators if one.function is function)

    def open_all(self) -> None:
        """Raises CannotOpen."""
        self._first = [_open(one.function) for one in self.operators]
        self._reopened = tuple(number for number, function in enumerate(self._first) if not keeps_no_state(function))

    def for_task(self) -> list[Callable[..., Any]]:
        """The functions for one task. Raises CannotOpen."""
        if not self._reopened:
            return self._first
        functions = list(self._first)
        for number in self._reopened:
            functions[number] = _open(self.operators[number].function)
        return functions

    @property
    def sample(self) -> list[Callable[..., Any]]:
        """The functions as first opened; to be looked at, not called."""
        return self._first


class CannotOpen(Exception):
    """A function's bytes did not unpickle here; `cause` says why."""

    def __init__(self, function: ops.Function, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.function = function
        self.cause = cause


def _open(function: ops.Function) -> Callable[..., Any]:
    try:
        opened: Callable[..., Any] = pickle.loads(function.pickled)
    except Exception as error:
        raise CannotOpen(function, error) from error
    return opened


# ---- can it remember? ----


def keeps_no_state(value: Any) -> bool:
    """Is it certain that calling `value` changes nothing that a later call could see? (Modules' and classes' state is the process's.)"""
    return _is_stateless(value, set(), _DEPTH)


def _is_stateless(value: Any, seen: set[int], depth: int) -> bool:
    if isinstance(value, _IMMUTABLE) and type(value) in _IMMUTABLE:
        return True
    if id(value) in seen:
        return True
    if depth == 0:
        return False
    seen.add(id(value))
    match value:
        case type() | types.ModuleType():
            return True
        case types.FunctionType():
            return _is_stateless_function(value, seen, depth - 1)
        case types.BuiltinFunctionType():
            owner = value.__self__
            return owner is None or _is_stateless(owner, seen, depth - 1)
        case tuple() | frozenset() if type(value) in (tuple, frozenset):
            return all(_is_stateless(item, seen, depth - 1) for item in value)
        case functools.partial():
            parts = (value.func, *value.args, *value.keywords.values())
            return not vars(value) and all(_is_stateless(part, seen, depth - 1) for part in parts)
    if isinstance(value, _BUILTIN) or type(value) in _ACCESSORS:
        return True
    if isinstance(value, Accumulator):
        return False
    if isinstance(value, Broadcast):
        return True
    if type(value).__module__.startswith("quiver_proto."):
        return all(_is_stateless(part, seen, depth - 1) for part in fields_of(value))
    return False


def _is_stateless_function(function: types.FunctionType, seen: set[int], depth: int) -> bool:
    module = sys.modules.get(function.__module__ or "")
    if module is not None and vars(module) is function.__globals__ and not function.__closure__:
        return True  # Pickled by reference: opening it again gives the same object.
    if vars(function):
        return False
    names: set[str] = set()
    if not all(_stores_nothing(code, names) for code in codes_in(function.__code__)):
        return False
    parts = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    parts += function.__defaults__ or ()
    parts += (function.__kwdefaults__ or {}).values()
    parts += (function.__globals__[name] for name in names if name in function.__globals__)
    return all(_is_stateless(part, seen, depth) for part in parts)


def _stores_nothing(code: types.CodeType, names: set[str]) -> bool:
    names.update(code.co_names)
    instructions = set(code.co_code[::2])
    return not (instructions & _STORES) and not (code.co_freevars and _STORE_DEREF in instructions)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """`code` and the code of all functions defined inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def fields_of(value: Any) -> list[Any]:
    """The attributes of an instance, in its dictionary or its slots."""
    fields = list(getattr(value, "__dict__", {}).values())
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        fields += (getattr(value, name) for name in ((slots,) if isinstance(slots, str) else slots) if hasattr(value, name))
    return fields


# ---- which code is it made of? ----


def codes_of(value: Any, depth: int = 3) -> Iterator[types.CodeType]:
    """The code objects that run when `value` is called: its own, those of functions inside it, those of callables it holds."""
    if depth == 0:
        return
    match value:
        case types.FunctionType():
            yield from codes_in(value.__code__)
            if value.__module__ and value.__module__.partition(".")[0] == "quiver_proto":
                return
            for cell in value.__closure__ or ():
                if _is_filled(cell) and callable(cell.cell_contents):
                    yield from codes_of(cell.cell_contents, depth - 1)
        case types.MethodType():
            yield from codes_of(value.__func__, depth)
        case functools.partial():
            for part in (value.func, *value.args, *value.keywords.values()):
                if callable(part):
                    yield from codes_of(part, depth - 1)
        case types.BuiltinFunctionType() | types.MethodDescriptorType():
            return
        case type():
            for name in ("__init__", "__new__", "__call__"):
                method = value.__dict__.get(name)
                yield from codes_of(getattr(method, "__func__", method), depth - 1)
        case None:
            return
        case _:
            yield from codes_of(type(value).__dict__.get("__call__"), depth - 1)
            for part in fields_of(value):
                if callable(part):
                    yield from codes_of(part, depth - 1)


# ---- is it something we can do faster? ----


def _template_add(a: Any, b: Any) -> Any:
    return a + b


def _template_identity(a: Any) -> Any:
    return a


def is_addition(function: Any) -> bool:
    """Is it operator.add, or a function of just `return a + b`?"""
    return function is operator.add or _is_like(function, _template_add)


def _template_min(a: Any, b: Any) -> Any:
    return min(a, b)


def least_or_most(function: Any) -> Literal["min", "max"] | None:
    """Is it min or max, or a function of just `return min(a, b)`, `return max(a, b)`?"""
    names: tuple[tuple[Literal["min", "max"], Any], ...] = (("min", min), ("max", max))
    for name, builtin in names:
        if function is builtin:
            return name
        if _is_like(function, _template_min, names=(name,)) and function.__globals__.get(name, builtin) is builtin:
            inside = function.__builtins__
            if inside.get(name) is builtin:
                return name
    return None


def is_identity(function: Any) -> bool:
    """Does it return its one argument, and nothing else?"""
    return _is_like(function, _template_identity)


def _template_split(line: Any) -> Any:
    return line.split()


def _template_split_at(line: Any) -> Any:
    return line.split("")


def splitting(function: Any) -> str | bool:
    """The one character at which a function of just `return line.split("…")` splits; True: at any white space; False: another function."""
    if function is str.split or _is_like(function, _template_split, names=("split",)):
        return True
    if type(function) is types.FunctionType:
        given = [constant for constant in function.__code__.co_consts if type(constant) is str and len(constant) == 1]
        if len(given) == 1:
            constants = tuple(given[0] if constant == "" else constant for constant in _template_split_at.__code__.co_consts)
            if _is_like(function, _template_split_at, constants, ("split",)):
                return str(given[0])
    return False


def _template_paired(a: Any) -> Any:
    return (a, 1)


def paired_count(function: Any) -> int | None:
    """n, if `function` is one that returns (its argument, n) for an int n, and does nothing else."""
    if type(function) is not types.FunctionType:
        return None
    constants = function.__code__.co_consts
    if len(constants) != 2 or type(constants[1]) is not int or not _is_like(function, _template_paired, constants):
        return None
    return constants[1]


def _is_like(function: Any, template: Callable[..., Any], constants: tuple[Any, ...] | None = None, names: tuple[str, ...] = ()) -> bool:
    if type(function) is not types.FunctionType:
        return False
    ours: types.CodeType = template.__code__
    theirs = function.__code__
    return (
        theirs.co_code == ours.co_code
        and theirs.co_consts == (ours.co_consts if constants is None else constants)
        and theirs.co_argcount == ours.co_argcount
        and theirs.co_flags & _KIND == ours.co_flags & _KIND
        and not theirs.co_freevars
        and not theirs.co_cellvars
        and not theirs.co_kwonlyargcount
        and theirs.co_names == names
    )
