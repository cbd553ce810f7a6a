"""What all errors have in common, and how they cross the wire."""

from __future__ import annotations

from typing import Any, ClassVar


class QuiverError(Exception):
    """Base of all of them. `code` is the stable name on the wire; `fields` the constructor's arguments in order."""

    code: ClassVar[str] = "QuiverError"
    _registry: ClassVar[dict[str, type[QuiverError]]] = {}

    def __init_subclass__(cls, registered: bool = True, **kwargs: Any) -> None:
        """`registered`: this is the class of its name when an error comes from the wire."""
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("quiver_proto.errors."):
            cls.__module__ = "quiver_proto.errors"  # Where users find it, and what a traceback names.
        if registered:
            cls.code = cls.__name__
            QuiverError._registry[cls.__name__] = cls

    def __init__(self, message: str, *fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return from_wire, (self.code, self.fields or (self.message,))


def to_wire(error: QuiverError) -> tuple[str, tuple[Any, ...]]:
    """`(code, fields)`; fields are strings, numbers, or lists and dicts of them."""
    return error.code, error.fields or (error.message,)


def from_wire(code: str, fields: tuple[Any, ...]) -> QuiverError:
    """The error that `to_wire` took apart. A code this version does not know becomes a plain QuiverError that keeps the text."""
    kind = QuiverError._registry.get(code)
    if kind is None:
        return QuiverError(f"{code}: {', '.join(map(str, fields))}")
    try:
        return kind(*fields)
    except TypeError:
        return QuiverError(f"{code}: {', '.join(map(str, fields))}")
