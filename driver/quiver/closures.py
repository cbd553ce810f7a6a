"""Sealing: users' functions become bytes on the driver, before anything is sent; a failure names the value to blame."""

from __future__ import annotations

import dataclasses
import functools
import logging
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any

from quiver.broadcast import referred, take_referred
from quiver_proto import functions
from quiver_proto.errors import DriverObjectInClosure, UnpicklableClosure, UnpicklableRecord
from quiver_proto.frames import PROTOCOL, dump_records
from quiver_proto.ops import CallSite, Function
from quiver_proto.units import format_bytes

log = logging.getLogger("quiver.closures")

LARGE_CLOSURE_BYTES = 1 << 20
_OUR_PACKAGE = ("quiver_proto.", "quiver.sql.python.")
_OURS = (functions.__name__, "_operator", "operator", "builtins")
_MAX_DEPTH = 24
_MAX_PROBES = 2000


class DriverOnly:
    """Base of what may exist on the driver alone: pickling it always fails, with a reason that a person understands."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError(
            f"It appears that you are attempting to reference {self!r} from a function that runs on executors, or to send it there. "
            "It can only be used on the driver."
        )


def driver_only_kind(value: DriverOnly) -> str:
    """What to call it in an error: `RDD`, `Context`."""
    return type(value).__name__


def seal(function: Callable[..., Any], call_site: CallSite) -> Function:
    """`function` as bytes that a slot opens with pickle.loads.

    Values that it captures are taken as they are now. Raises UnpicklableClosure with the path to the culprit, or
    DriverObjectInClosure where that is an RDD or a Context. Logs a warning when the bytes exceed 1 MiB.
    """
    name = function_name(_of_user(function))
    if getattr(function, "__module__", None) in _OURS and isinstance(function, types.FunctionType | types.BuiltinFunctionType | type):
        return Function(_by_reference(function), call_site, name)
    if referred:
        take_referred()
    try:
        data = dumps(function)
    except Exception as error:
        raise _diagnosis(function, name, call_site, error) from None
    broadcasts = take_referred() if referred else ()
    if len(data) > LARGE_CLOSURE_BYTES:
        _warn_of_size(function, name, call_site, len(data))
    return Function(data, call_site, name, broadcasts)


def seal_records(records: list[Any], start: int, call_site: CallSite) -> bytes:
    """One frame of `records`, the first of which is number `start` of the user's. Raises UnpicklableRecord."""
    try:
        return dump_records(records)
    except Exception as error:
        for position, record in enumerate(records):
            problem = _failure(record)
            if problem is not None:
                culprit, value, problem = _descend(record, f"records[{start + position}]", problem)
                raise UnpicklableRecord(str(call_site), culprit, _describe(value, problem)) from None
        raise UnpicklableRecord(str(call_site), "records", f"can't be pickled: {error}") from None


def blamed(value: Any, name: str, error: Exception) -> tuple[str, str]:
    """What is to blame that pickling `value` raised `error`: the path to it, from `name` on, and what is wrong with it."""
    culprit, found, problem = _descend(value, name, error)
    return culprit, f"is an {driver_only_kind(found)}" if isinstance(found, DriverOnly) else _describe(found, problem)


def _of_user(function: Callable[..., Any]) -> Callable[..., Any]:
    """The user's function inside one of ours."""
    kind = type(function)
    if not kind.__module__.startswith(_OUR_PACKAGE) or not dataclasses.is_dataclass(kind):
        return function
    inner = [getattr(function, part.name) for part in dataclasses.fields(kind)]
    found = [part for part in inner if callable(part)]
    return next((part for part in found if not isinstance(part, types.BuiltinFunctionType | type)), found[0] if found else function)


def function_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def dumps(value: Any) -> bytes:
    """cloudpickle; imported on first use, because it costs 30 ms that `import quiver` must not."""
    import cloudpickle

    data: bytes = cloudpickle.dumps(value, PROTOCOL)
    return data


@functools.lru_cache(maxsize=256)
def _by_reference(function: Callable[..., Any]) -> bytes:
    return pickle.dumps(function, PROTOCOL)


def _failure(value: Any) -> Exception | None:
    try:
        dumps(value)
    except Exception as error:
        return error
    return None


def _diagnosis(function: Callable[..., Any], name: str, call_site: CallSite, error: Exception) -> UnpicklableClosure:
    user = _of_user(function)
    fault = None if user is function else _failure(user)
    path, value, problem = _descend(function, name, error) if fault is None else _descend(user, name, fault)
    if isinstance(value, DriverOnly):
        return DriverObjectInClosure(call_site.operator, str(call_site), path, driver_only_kind(value))
    return UnpicklableClosure(call_site.operator, str(call_site), path, _describe(value, problem))


def _describe(value: Any, problem: Exception) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"is a {module}{kind.__qualname__} ({str(problem) or type(problem).__name__})"


def _descend(value: Any, path: str, problem: Exception) -> tuple[str, Any, Exception]:
    """Follow children that don't pickle until none of a value's children is to blame."""
    probes = 0
    seen = {id(value)}
    for _ in range(_MAX_DEPTH):
        if isinstance(value, DriverOnly):
            break
        for step, child in _children(value):
            probes += 1
            if probes > _MAX_PROBES:
                return path, value, problem
            if id(child) in seen:
                continue
            failure = _failure(child)
            if failure is not None:
                seen.add(id(child))
                value, path, problem = child, path + step, failure
                break
        else:
            break
    return path, value, problem


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    """What a pickle of `value` would hold, each with the step that leads there. Nothing for what pickles by reference."""
    match value:
        case types.FunctionType():
            yield from _children_of_function(value)
        case types.MethodType():
            yield ".self", value.__self__
            yield ".func", value.__func__
        case functools.partial():
            yield ".func", value.func
            yield from ((f".args[{i}]", item) for i, item in enumerate(value.args))
            yield from ((f".keywords[{key!r}]", item) for key, item in value.keywords.items())
        case dict():
            yield from ((f"[{key!r}]", item) for key, item in value.items())
            yield from ((f".keys[{key!r}]", key) for key in value)
        case list() | tuple():
            yield from ((f"[{i}]", item) for i, item in enumerate(value))
        case set() | frozenset():
            yield from ((f"{{{item!r}}}", item) for item in value)
        case types.ModuleType() | types.CodeType():
            return
        case type():
            yield from ((f".{name}", _unwrapped(item)) for name, item in vars(value).items() if not _is_descriptor(name))
            yield from ((f".__bases__[{i}]", base) for i, base in enumerate(value.__bases__) if base is not object)
        case _:
            yield from _children_of_instance(value)


def _children_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield f".closure.{name}", cell.cell_contents
        except ValueError:
            continue
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f".globals.{name}", function.__globals__[name]
    yield from ((f".defaults[{i}]", item) for i, item in enumerate(function.__defaults__ or ()))
    yield from ((f".defaults.{name}", item) for name, item in (function.__kwdefaults__ or {}).items())
    yield from ((f".{name}", item) for name, item in vars(function).items())


def _global_names(code: types.CodeType) -> list[str]:
    """Names that `code` and the functions defined inside it may look up in the module, in order."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(_global_names(constant)))
    return list(names)


def _children_of_instance(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if dataclasses.is_dataclass(kind) and "__slots__" in vars(kind):
        yield from ((f".{part.name}", getattr(value, part.name)) for part in dataclasses.fields(kind))
        return
    try:
        parts = value.__reduce_ex__(PROTOCOL)
    except Exception:
        parts = ()
    if isinstance(parts, str):
        return
    states = parts[2] if len(parts) > 2 else getattr(value, "__dict__", None)
    for state in states if isinstance(states, tuple) else (states,):
        if isinstance(state, dict):
            yield from ((f".{name}" if isinstance(name, str) else f"[{name!r}]", item) for name, item in state.items())
        elif state is not None:
            yield ".state", state
    if len(parts) > 1:
        yield from ((f".arguments[{i}]", item) for i, item in enumerate(parts[1]) if item is not type(value))
    if len(parts) > 3 and parts[3] is not None:
        yield from ((f"[{i}]", item) for i, item in enumerate(list(value)))
    if len(parts) > 4 and parts[4] is not None:
        yield from ((f"[{key!r}]", value[key]) for key in list(value))


def _unwrapped(attribute: Any) -> Any:
    return attribute.__func__ if isinstance(attribute, staticmethod | classmethod) else attribute


def _is_descriptor(name: str) -> bool:
    return name in ("__dict__", "__weakref__", "__module__", "__doc__", "__qualname__")


def _warn_of_size(function: Callable[..., Any], name: str, call_site: CallSite, size: int) -> None:
    largest, of = "", 0
    for step, child in _children(function):
        try:
            child_size = len(dumps(child))
        except Exception:
            continue
        if child_size > of:
            largest, of = f"{name}{step}", child_size
    what = f"; {largest} alone has {format_bytes(of)}" if largest else ""
    log.warning(
        "the function given to %s has %s when pickled%s. It is sent to every executor for every stage that uses it: "
        "read large data inside the function, or make it a dataset and join.",
        call_site,
        format_bytes(size),
        what,
    )
