"""Casts with Spark's meaning, where the kernel's own has another: the kernel's where it is surely the same, Python for the rest."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.lowering.interval_casts import interval_cast
from quiver.sql.lowering.names import cast, text
from quiver.sql.lowering.times_of_day import cast_of_time
from quiver.sql.lowering.zones import cast_in_zone, instant
from quiver.sql.registry.python import python
from quiver.sql.types.holding import holds
from quiver_proto.spark_functions import casts
from quiver_proto.variants import calls

_LONG = 2000
"""Characters: what is longer is written once, for Python; casts in casts would grow by a power with every one."""
_TIMES = (t.TimestampType, t.TimestampNTZType)
_SHOWN_EXACTLY = "abs({0}) >= 1e-3 AND abs({0}) < 1e7 OR {0} = 0"
_PLAIN_TIME = (
    "{0} LIKE '____-__-__ __:__:__' OR {0} LIKE '____-__-__'"
    " OR regexp_like({0}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}[.][0-9]{{1,6}}$')"
)


def spark_cast(value: str, source: t.DataType, target: t.DataType, lenient: bool, zone: str) -> str:
    """`value`, of type `source`, as `target`; `lenient`: null where it can't be. `zone`: of the session."""
    own: str | None
    if source != target and (holds(source, t.VariantType) or holds(target, t.VariantType)):
        own = _of_variants(value, source, target, lenient, zone)
    elif isinstance(source, t.TimeType) or isinstance(target, t.TimeType):
        own = cast_of_time(value, source, target, lenient, zone)
    elif isinstance(target, t.AnsiIntervalType) or (isinstance(source, t.AnsiIntervalType) and isinstance(target, t.NumericType)):
        own = interval_cast(value, source, target, lenient)
    elif isinstance(source, t.StringType):
        own = _of_text(value, target, lenient, zone)
    elif isinstance(target, t.StringType):
        own = _as_text(value, source, zone)
    elif _elements_are(source, t.BinaryType) and _elements_are(target, t.StringType):
        own = python(casts.texts_of, lambda kinds: target)([value], [source])
    elif isinstance(target, t.TimestampType) and isinstance(source, t.NumericType):
        own = _seconds(value, source)
    elif isinstance(source, t.TimestampType) and isinstance(target, t.NumericType):
        own = _since_epoch(value, target, lenient)
    elif isinstance(target, t.DecimalType) and isinstance(source, t.FloatType | t.DoubleType):
        own = _by_digits(cast(value, t.DoubleType()), target, lenient, zone)
    elif isinstance(target, t.BooleanType) and isinstance(source, t.DecimalType):
        own = f"({value} <> 0)"
    else:
        own = None
    return own or cast_in_zone(value, source, target, lenient, zone) or cast(value, target, lenient)


def _of_variants(value: str, source: t.DataType, target: t.DataType, lenient: bool, zone: str) -> str:
    if isinstance(source, t.NullType):
        return cast("NULL", target)
    if isinstance(target, t.StringType) and not isinstance(source, t.VariantType):
        return _as_text(value, source, zone) or cast(value, target, lenient)
    return python(calls.recast(source.json(), target.json(), zone, lenient), lambda kinds: target)([value], [source])


def _elements_are(kind: t.DataType, element: type[t.DataType]) -> bool:
    return isinstance(kind, t.ArrayType) and isinstance(kind.elementType, element)


def _of_text(value: str, target: t.DataType, lenient: bool, zone: str) -> str | None:
    """The kernel's where it succeeds, with what both take; else Python's, which raises, or gives null when `lenient`."""
    kinds = [t.StringType(), t.BooleanType()]
    flags = [value, "TRUE" if lenient else "FALSE"]
    match target:
        case t.BooleanType():
            plain = f"CASE lower({value}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
            rest = python(casts.boolean, lambda kinds: target)(flags, kinds)
        case t.IntegralType():
            plain = cast(value, target, True)
            rest = python(casts.INTEGERS[type(target).__name__], lambda kinds: target)(flags, kinds)
        case t.FloatType() | t.DoubleType():
            plain = cast(value, target, True)
            rest = python(casts.double if isinstance(target, t.DoubleType) else casts.single, lambda kinds: target)(flags, kinds)
        case t.DecimalType():
            plain = cast(value, target, True)
            rest = python(casts.exact, lambda kinds: target)(
                [*flags, str(target.precision), str(target.scale)], [*kinds, t.LongType(), t.LongType()]
            )
        case t.DateType():
            plain = f"CASE WHEN {value} LIKE '____-__-__' THEN {cast(value, target, True)} END"
            rest = python(casts.date_of, lambda kinds: target)(flags, kinds)
        case t.TimestampNTZType():
            plain = f"CASE WHEN {_PLAIN_TIME.format(value)} THEN {cast(value, target, True)} END"
            rest = python(casts.wall_clock_of, lambda kinds: target)(flags, kinds)
        case t.TimestampType():
            wall = f"CASE WHEN {_PLAIN_TIME.format(value)} THEN {cast(value, t.TimestampNTZType(), True)} END"
            plain = instant(wall, zone)
            rest = python(casts.instant_of, lambda kinds: target)([*flags, text(zone)], [*kinds, t.StringType()])
        case _:
            return None
    if len(value) > _LONG:
        return rest
    return f"(CASE WHEN ({plain}) IS NOT NULL THEN ({plain}) WHEN {value} IS NOT NULL THEN {rest} END)"


def _as_text(value: str, source: t.DataType, zone: str) -> str | None:
    match source:
        case t.DoubleType() | t.FloatType():
            kind = t.StringType()
            rest = python(casts.written if isinstance(source, t.DoubleType) else casts.written_single, lambda kinds: kind)(
                [value], [source]
            )
            return rest if len(value) > _LONG else f"(CASE WHEN {_SHOWN_EXACTLY.format(value)} THEN {cast(value, kind)} ELSE {rest} END)"
        case t.ArrayType() | t.MapType() | t.StructType() | t.AnsiIntervalType() | t.CalendarIntervalType():
            shown = casts.shower(source.simpleString(), zone)
            return python(shown, lambda kinds: t.StringType())([value], [source])
        case t.BinaryType():
            rest = python(casts.text_of, lambda kinds: t.StringType())([value], [source])
            return rest if len(value) > _LONG else f"coalesce({cast(value, t.StringType(), True)}, {rest})"
        case t.NullType():
            return cast("NULL", t.StringType())
        case _:
            return None


def _by_digits(value: str, target: t.DecimalType, lenient: bool, zone: str) -> str | None:
    """Of doubles: their shortest text, rounded. The kernel rounds a product, which is something else near a half, and of many digits."""
    finite = f"CASE WHEN abs({value}) <= 1.7976931348623157e308 THEN {value} END"
    by_text = _of_text(cast(finite, t.StringType()), target, lenient, zone)
    if len(value) > _LONG:
        return by_text
    scaled = f"({value} * 1e{target.scale})"
    same = f"abs({scaled}) < 1e12 AND abs(abs({scaled} - trunc({scaled})) - 0.5) > 0.001"
    return f"(CASE WHEN {same} THEN {cast(value, target, lenient)} ELSE {by_text} END)"


def _seconds(value: str, source: t.DataType) -> str:
    """Numbers are seconds since 1970."""
    if isinstance(source, t.IntegralType):
        # As decimals, so that what is too far away is an error.
        micros = cast(f"({cast(value, t.DecimalType(20, 0))} * 1000000)", t.LongType())
    elif isinstance(source, t.DecimalType):
        micros = cast(f"trunc({cast(value, t.DecimalType(38, 6))} * 1000000)", t.LongType())
    else:
        finite = f"CASE WHEN isnan({value}) OR abs({value}) > 1e300 THEN NULL ELSE {value} END"
        micros = cast(f"trunc({cast(finite, t.DoubleType())} * 1000000)", t.LongType())
    return cast(micros, t.TimestampType())


def _since_epoch(value: str, target: t.DataType, lenient: bool) -> str:
    micros = cast(value, t.LongType())
    if isinstance(target, t.IntegralType):
        # Down, before 1970 too.
        return cast(f"(({micros} - ((({micros} % 1000000) + 1000000) % 1000000)) / 1000000)", target, lenient)
    if isinstance(target, t.DecimalType):
        return cast(f"({cast(micros, t.DecimalType(20, 0))} * {cast(text('0.000001'), t.DecimalType(7, 6))})", target, lenient)
    return cast(f"({cast(micros, t.DoubleType())} / 1000000.0)", target, lenient)
