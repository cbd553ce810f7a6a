"""Row: one record of a DataFrame, a tuple whose members have names."""

from __future__ import annotations

from typing import Any

from quiver.sql.errors import PySparkAttributeError


class Row(tuple[Any, ...]):
    """`Row(name="Alice", age=2)`, or a maker of such rows: `Person = Row("name", "age"); Person("Alice", 2)`.

    >>> row = Row(name="Alice", age=11)
    >>> row.name, row["age"], "name" in row
    ('Alice', 11, True)
    """

    __fields__: list[str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Row:
        if args and kwargs:
            raise ValueError("Cannot use both args and kwargs to create Row")
        if kwargs:
            row = tuple.__new__(cls, kwargs.values())
            row.__fields__ = list(kwargs)
            return row
        return tuple.__new__(cls, args)

    def asDict(self, recursive: bool = False) -> dict[str, Any]:
        """As a dictionary; `recursive`: rows inside too. Raises TypeError for a row without names."""
        if not hasattr(self, "__fields__"):
            raise TypeError("Cannot convert a Row class into dict")
        if not recursive:
            return dict(zip(self.__fields__, self))
        return {name: _plain(value) for name, value in zip(self.__fields__, self)}

    def __contains__(self, item: object) -> bool:
        return item in self.__fields__ if hasattr(self, "__fields__") else super().__contains__(item)

    def __call__(self, *args: Any) -> Row:
        """A row with these values and the names that this one holds."""
        if len(args) > len(self):
            raise ValueError(f"Can not create Row with fields {self}, expected {len(self)} values but got {args}")
        return row_of(list(self), args)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, int | slice):
            return super().__getitem__(item)
        try:
            return super().__getitem__(self.__fields__.index(item))
        except (IndexError, ValueError, AttributeError):
            raise KeyError(item) from None

    def __getattr__(self, item: str) -> Any:
        if item.startswith("__"):
            raise AttributeError(item)
        try:
            return super().__getitem__(self.__fields__.index(item))
        except (IndexError, ValueError, AttributeError):
            raise PySparkAttributeError(f"Attribute `{item}` is not supported.", "ATTRIBUTE_NOT_SUPPORTED") from None

    def __setattr__(self, key: str, value: Any) -> None:
        if key != "__fields__":
            raise RuntimeError("Row is read-only")
        self.__dict__[key] = value

    def __reduce__(self) -> Any:
        if hasattr(self, "__fields__"):
            return row_of, (self.__fields__, tuple(self))
        return tuple.__reduce__(self)

    def __repr__(self) -> str:
        if hasattr(self, "__fields__"):
            return f"Row({', '.join(f'{name}={value!r}' for name, value in zip(self.__fields__, tuple(self)))})"
        return f"<Row({', '.join(map(repr, self))})>"


def row_of(names: list[str], values: Any) -> Row:
    """A row with these names, which may be there twice."""
    row = tuple.__new__(Row, values)
    row.__fields__ = names
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return value.asDict(True)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
