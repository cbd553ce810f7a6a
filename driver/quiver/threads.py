"""Threads whose jobs have the local properties (job group, tags, description, …) of the thread that made them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, overload

from quiver.context import Context


class InheritableThread(threading.Thread):
    """A threading.Thread that has, from its start on, a copy of the local properties that the starting thread has then.

    `session` is accepted for the sake of programs written for PySpark; tags are local properties here and come along without it.

    >>> from quiver import InheritableThread
    >>> sc.setLocalProperty("team", "search")
    >>> seen = []
    >>> thread = InheritableThread(target=lambda: seen.append(sc.getLocalProperty("team")))
    >>> thread.start(); thread.join(); seen
    ['search']
    >>> sc.setLocalProperty("team", None)
    """

    def __init__(self, target: Callable[..., object], *args: Any, session: object = None, **kwargs: Any) -> None:
        self._inherited: tuple[Context, Mapping[str, str]] | None = None

        def run(*given: Any, **named: Any) -> object:
            _inherit(self._inherited)
            return target(*given, **named)

        super().__init__(None, run, *args, **kwargs)

    def start(self) -> None:
        """Copy the calling thread's properties, then start.

        >>> thread = InheritableThread(target=lambda: None)
        >>> thread.start()
        >>> thread.join()
        """
        self._inherited = _current()
        super().start()


@overload
def inheritable_thread_target(f: Callable[..., Any]) -> Callable[..., Any]: ...
@overload
def inheritable_thread_target(f: Context) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
def inheritable_thread_target(f: Any) -> Any:
    """A thread's target that takes on the local properties which the current thread has *now*, when it is wrapped.

    A decorator; with a Context or a session as its argument it makes one. InheritableThread instead copies when it starts.

    >>> import threading
    >>> from quiver import inheritable_thread_target
    >>> seen = []
    >>> sc.setLocalProperty("team", "search")
    >>> @inheritable_thread_target
    ... def look(): seen.append(sc.getLocalProperty("team"))
    >>> sc.setLocalProperty("team", None)
    >>> thread = threading.Thread(target=look); thread.start(); thread.join(); seen
    ['search']
    """
    if isinstance(f, Context) or hasattr(f, "sparkContext"):
        context: Context = f if isinstance(f, Context) else f.sparkContext
        return functools.partial(_wrapped, inherited=(context, dict(context._properties())))
    if not callable(f):
        raise TypeError(f"a thread's target must be callable, not {type(f).__name__}")
    return _wrapped(f, _current())


def _wrapped(target: Callable[..., Any], inherited: tuple[Context, Mapping[str, str]] | None) -> Callable[..., Any]:
    @functools.wraps(target)
    def run(*given: Any, **named: Any) -> Any:
        _inherit(inherited)
        return target(*given, **named)

    return run


def _current() -> tuple[Context, Mapping[str, str]] | None:
    context = Context._active
    return None if context is None else (context, dict(context._properties()))


def _inherit(inherited: tuple[Context, Mapping[str, str]] | None) -> None:
    if inherited is not None:
        inherited[0]._take_properties(dict(inherited[1]))
