"""The tables' shorthand: what functions take and give, a letter for each argument.

`s` string · `b` boolean · `i` int · `l` bigint · `d` double · `x` binary · `D` date · `T` timestamp · `N` timestamp without zone ·
`n` a number, as it is (strings become double) · `*` anything, as it is · `a` array · `m` map · `=` the type that all `=` have in common.
A `?` behind a letter begins the optional arguments; a `+` at the end: the last may come any number of times.
For `N` an instant is read from the clocks of the session's zone. `h` is a time of the day as it is, anything else as `N`.
Results: `W`, a wall-clock time of the session's zone, which becomes an instant; a letter of those, a digit (the type of that argument),
`e0`: the elements of argument 0, or None: the kernel tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.model import AFTER, Coerce, Function, Lower, Types, register

Gives = Callable[[Types], t.DataType]

TYPES: dict[str, t.DataType] = {
    "s": t.StringType(), "b": t.BooleanType(), "i": t.IntegerType(), "l": t.LongType(), "d": t.DoubleType(), "x": t.BinaryType(),
    "D": t.DateType(), "T": t.TimestampType(), "N": t.TimestampNTZType(), "h": t.TimestampNTZType(), "f": t.FloatType(), "y": t.ByteType(),
}  # fmt: skip


def define(
    name: str,
    takes: str,
    gives: str | Gives | None,
    lower: str | Lower,
    *aliases: str,
    kind: str = "scalar",
    nullable: bool | None = None,
    zoned: bool = False,
) -> None:
    """Add a function. `lower` is a template of the kernel's SQL, or the name of a function of the kernel, called with all arguments.

    `zoned`: `lower` has the session's time zone as one more argument, the last, also where the one before was left out.
    """
    letters, least, most = _letters(takes)
    if isinstance(lower, str):
        text = lower if "{" in lower or "(" in lower else lower + "({all})"
        # Braces that are not of the template do not occur in it.
        lowered: Lower = lambda args, kinds: text.format(*args, all=", ".join(args), over=AFTER)  # noqa: E731
    else:
        lowered = lower
    register(
        Function(
            name, lowered, None if gives is None else result("T" if gives == "W" else gives), _coercion(name, letters), kind, nullable,
            (least, most), zoned=zoned, wall=gives == "W",
        ),
        *aliases,
    )  # fmt: skip


def result(gives: str | Gives) -> Gives:
    """The type that a letter stands for, as a function of the arguments' types."""
    if not isinstance(gives, str):
        return gives
    if gives in TYPES:
        kind = TYPES[gives]
        return lambda kinds: kind
    if gives[0] == "e":
        position = int(gives[1:])
        return lambda kinds: element_type(kinds[position])
    if gives[0] == "[":
        inner = result(gives[1:-1])
        return lambda kinds: t.ArrayType(inner(kinds), True)
    position = int(gives)
    return lambda kinds: kinds[position]


def element_type(kind: t.DataType) -> t.DataType:
    """Of an array; null's are null."""
    return kind.elementType if isinstance(kind, t.ArrayType) else t.NullType()


def _letters(takes: str) -> tuple[str, int, int | None]:
    repeated = takes.endswith("+")
    plain = takes.rstrip("+")
    required, _, optional = plain.partition("?")
    if repeated:
        return plain.replace("?", ""), len(plain) - 1 if not optional else len(required), None
    return required + optional, len(required), len(required + optional)


def _coercion(name: str, letters: str) -> Coerce:
    def coerce(kinds: Types) -> Sequence[t.DataType | None]:
        spelled = letters[: len(kinds)] + letters[-1:] * (len(kinds) - len(letters))
        alike = [kind for letter, kind in zip(spelled, kinds, strict=True) if letter == "="]
        common = expect_common(name, alike) if alike else None
        return [_wanted(name, number, letter, kind, common) for number, (letter, kind) in enumerate(zip(spelled, kinds, strict=True), 1)]

    return coerce


def _wanted(name: str, number: int, letter: str, kind: t.DataType, common: t.DataType | None) -> t.DataType | None:
    if letter == "*" or (letter == "h" and isinstance(kind, t.TimeType)):
        return None
    if letter == "=":
        return common
    if letter == "n":
        if isinstance(kind, t.NumericType):
            return None
        if isinstance(kind, t.StringType | t.NullType):
            return t.DoubleType()
        raise mismatch(name, number, "a number", kind)
    if letter in "am":
        if isinstance(kind, t.NullType):
            return t.ArrayType(t.NullType()) if letter == "a" else t.MapType(t.NullType(), t.NullType())
        if isinstance(kind, t.ArrayType if letter == "a" else t.MapType):
            return None
        raise mismatch(name, number, "an array" if letter == "a" else "a map", kind)
    wanted = TYPES[letter]
    if isinstance(kind, t.ArrayType | t.MapType | t.StructType) or not _castable(kind, wanted):
        raise mismatch(name, number, f'"{wanted.simpleString().upper()}"', kind)
    return wanted


def _castable(kind: t.DataType, wanted: t.DataType) -> bool:
    if kind == wanted or isinstance(kind, t.NullType | t.StringType) or isinstance(wanted, t.StringType):
        return True
    if isinstance(wanted, t.NumericType):
        return isinstance(kind, t.NumericType)
    if isinstance(kind, t.TimeType):
        return isinstance(wanted, t.TimestampType | t.TimestampNTZType)
    times = (t.DateType, t.TimestampType, t.TimestampNTZType)
    return isinstance(wanted, times) and isinstance(kind, times)


def mismatch(name: str, number: int, wanted: str, kind: t.DataType) -> AnalysisException:
    """The error of an argument whose type the function can't take."""
    return AnalysisException(
        f'Cannot resolve "{name}" due to data type mismatch: parameter {number} requires {wanted}, '
        f'however it has the type "{kind.simpleString().upper()}".',
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
    )
