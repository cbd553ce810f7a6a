"""Reaching into structs, arrays and maps, and making structs: what depends on names, which types alone don't tell. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from quiver.sql import types as t
from quiver.sql.analysis.cast_functions import CAST_FUNCTIONS
from quiver.sql.analysis.coercion import as_decimal
from quiver.sql.analysis.fixed_lengths import check_no_lengths
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.times_of_day import bucketed, current_time
from quiver.sql.analysis.typing import nullable, type_of
from quiver.sql.analysis.windows_of_time import last_moment, windowed
from quiver.sql.errors import AnalysisException
from quiver.sql.tree import expressions as e
from quiver_proto.spark_functions.number_forms import PATTERN

Fold = Callable[[str], str]
NAMES = frozenset(
    {
        "getfield",
        "getitem",
        "struct",
        "named_struct",
        "withfield",
        "dropfields",
        "extract",
        "date_part",
        "datepart",
        "current_time",
        "localtime",
        "time_bucket",
        "from_json",
        "from_csv",
        "from_xml",
        "to_json",
        "to_csv",
        "to_xml",
        "schema_of_xml",
        "window",
        "window_time",
        "round",
        "bround",
        "ceil",
        "ceiling",
        "floor",
        "to_number",
        "try_to_number",
        "arrays_zip",
        "to_char",
        "to_varchar",
        *CAST_FUNCTIONS,
    }
)
"""Calls that `accessed` rewrites."""


def accessed(call: e.Call, fold: Fold) -> e.Expression:
    """What one of NAMES means for resolved operands. Raises AnalysisException."""
    match call.name:
        case "getfield" | "getitem":
            return _extracted(call, fold)
        case "struct":
            return e.StructOf(tuple(_member_name(value, i) for i, value in enumerate(call.args)), tuple(map(_bare, call.args)))
        case "named_struct":
            names, values = call.args[::2], call.args[1::2]
            if len(names) != len(values):
                raise AnalysisException(
                    f"The `named_struct` requires 2n (n > 0) parameters but the actual number is {len(call.args)}.",
                    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
                )
            return e.StructOf(tuple(_constant(name) for name in names), tuple(map(_bare, values)))
        case "extract" | "date_part" | "datepart":
            field = call.args[0] if call.args else None
            seconds = isinstance(field, e.Literal) and str(field.value).lower() in ("second", "s", "sec", "seconds", "secs")
            of_interval = len(call.args) > 1 and isinstance(type_of(call.args[1]), t.AnsiIntervalType)
            seconds_of = "seconds of a time" if len(call.args) > 1 and isinstance(type_of(call.args[1]), t.TimeType) else "extract_seconds"
            return e.Call(seconds_of, call.args[1:]) if seconds and not of_interval else call  # Whose type is another.
        case "round" | "bround" | "ceil" | "ceiling" | "floor":
            return _rounded(call)
        case "to_number" | "try_to_number" if len(call.args) == 2:
            form = _constant(call.args[1])
            whole, _, fraction = re.sub("[^09.D]", "", form.upper()).replace("D", ".").partition(".")
            kind = t.DecimalType(max(len(whole) + len(fraction), 1), len(fraction))
            return replace(call, args=(*call.args, e.Literal(None, kind)))
        case "arrays_zip":
            return _zipped(call)
        case "to_char" | "to_varchar":
            return _as_text(call)
        case "current_time" | "localtime":
            return current_time(call)
        case "time_bucket":
            return bucketed(call)
        case "window":
            return windowed(call)
        case "window_time":
            return last_moment(call)
        case "from_json" | "from_csv" | "from_xml":
            return _typed_document(call)
        case "to_json" | "to_csv" | "to_xml" | "schema_of_xml":
            return replace(call, args=(*call.args[:1], *map(_document_options, call.args[1:])))
        case function if function in CAST_FUNCTIONS:
            if len(call.args) != 1:
                raise AnalysisException(
                    f"The `{function}` requires 1 parameters but the actual number is {len(call.args)}.",
                    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
                )
            return e.Cast(call.args[0], CAST_FUNCTIONS[function])
        case "withfield":
            struct, name, value = call.args
            return _with_field(struct, _path(_constant(name)), value, fold)
        case _:
            result = call.args[0]
            for name in call.args[1:]:
                result = _without_field(result, _path(_constant(name)), fold)
            return result


def _rounded(call: e.Call) -> e.Call:
    """With the type of the result as that of a null, where it depends on how many digits are kept."""
    if not 1 <= len(call.args) <= 2:
        return call
    value = call.args[0]
    kind = type_of(value)
    rounds = call.name in ("round", "bround")
    if rounds and not isinstance(kind, t.DecimalType):
        return call
    if not rounds and len(call.args) == 1:
        return call
    digits = call.args[1] if len(call.args) == 2 else e.Literal(0, t.IntegerType())
    if isinstance(digits, e.Call) and digits.name == "negative" and isinstance(digits.args[0], e.Literal):
        digits = e.Literal(-digits.args[0].value, t.IntegerType())
    if not isinstance(digits, e.Literal) or not isinstance(digits.value, int):
        raise AnalysisException(
            f'Cannot resolve "{pretty(call)}" due to data type mismatch: the input `scale` should be a foldable "INT" expression.',
            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
        )
    if isinstance(kind, t.FloatType):
        base = t.DecimalType(14, 7)
    elif isinstance(kind, t.NumericType) and not isinstance(kind, t.DoubleType):
        base = as_decimal(kind)
    else:
        base = t.DecimalType(30, 15)
    whole, scale = base.precision - base.scale + 1, digits.value
    if scale < 0:
        wanted = t.DecimalType(min(max(whole, -scale + 1), 38), 0)
    else:
        kept = min(base.scale, scale)
        wanted = t.DecimalType(min(whole + kept, 38), kept)
    return replace(call, args=(value if kind == base else e.Cast(value, base), digits, e.Literal(None, wanted)))


def _zipped(call: e.Call) -> e.Call:
    """With the names of the members as those of a null struct."""
    if not call.args or any(isinstance(argument, e.Literal) and argument.value is None for argument in call.args[-1:]):
        return call
    named = [a.name if isinstance(a, e.Attribute | e.Alias | e.Member) else str(at) for at, a in enumerate(call.args)]
    members = t.StructType([t.StructField(name, t.NullType()) for name in named])
    return replace(call, args=(*map(_bare, call.args), e.Literal(None, members)))


def _as_text(call: e.Call) -> e.Call:
    """By a pattern: of numbers, or of dates and times; binaries by one of three."""
    if len(call.args) != 2:
        return call
    value, form = call.args
    kind = type_of(value)
    if isinstance(kind, t.DateType | t.TimestampType | t.TimestampNTZType | t.TimeType):
        return e.Call("date_format", call.args, zone=call.zone)
    if isinstance(kind, t.BinaryType):
        word = _constant(form).lower()
        if word in ("base64", "hex"):
            return e.Call(word, (value,))
        if word not in ("utf-8", "utf8"):
            raise _mismatch(call, "the `format` of a binary is one of 'base64', 'hex', 'utf-8'")
        return e.Call("decode", (value, e.Literal("utf-8", t.StringType())))
    if isinstance(form, e.Literal) and isinstance(form.value, str) and not PATTERN.fullmatch(form.value.upper()):
        raise AnalysisException(
            f"The format is invalid: '{form.value}'. It must match: `[MI|S]` `[$]` `[0|9|G|,]*` `[.|D]` `[0|9]*` `[$]` `[PR|MI|S]`.",
            "INVALID_FORMAT.UNEXPECTED_TOKEN",
        )
    if not isinstance(kind, t.NumericType | t.StringType | t.NullType):
        raise _mismatch(call, f'it takes a number, a time or a binary, not "{kind.simpleString().upper()}"')
    match kind:
        case t.FloatType():
            wanted = t.DecimalType(14, 7)
        case t.DoubleType():
            wanted = t.DecimalType(30, 15)
        case t.NumericType():
            wanted = as_decimal(kind)
        case _:
            wanted = t.DecimalType(38, 18)
    return replace(call, args=(value if kind == wanted else e.Cast(value, wanted), form))


def _typed_document(call: e.Call) -> e.Call:
    """With the type that is read as the type of a null, and the options as JSON."""
    from quiver.sql.registry.documents import reading_options, schema_of

    if len(call.args) < 2:
        return call
    text, schema, *options = call.args
    if isinstance(schema, e.Call) and schema.name.startswith("schema_of_") and isinstance(schema.args[0], e.Literal):
        given = [str(each.value) for each in schema.args[:2] if isinstance(each, e.Literal)]
        schema = e.Literal(None, schema_of(schema.name, *given))
    elif isinstance(schema, e.Literal) and isinstance(schema.value, str):
        schema = e.Literal(None, t.DataType.fromDDL(schema.value))
    elif not (isinstance(schema, e.Literal) and schema.value is None):
        raise AnalysisException(f'The schema "{pretty(schema)}" of `{call.name}` must be a constant.', "INVALID_SCHEMA.NON_STRING_LITERAL")
    check_no_lengths(schema.type)
    if call.name == "from_csv" and not isinstance(schema.type, t.StructType):
        schema = e.Literal(None, t.StructType([t.StructField("value", schema.type)]))
    options = list(map(_document_options, options))
    if options and isinstance(options[0], e.Literal) and _mode(options[0]) == "DROPMALFORMED":
        raise AnalysisException(
            f"The function `{call.name}` doesn't support the DROPMALFORMED mode. Acceptable modes are PERMISSIVE and FAILFAST.",
            "PARSE_MODE_UNSUPPORTED",
        )
    for each in options:
        if isinstance(each, e.Literal) and isinstance(each.value, str):
            reading_options(call.name, {str(key): str(value) for key, value in json.loads(each.value).items()}, "UTC")
    return e.Call(call.name, (text, schema, *options), zone=call.zone)


def _document_options(options: e.Expression) -> e.Expression:
    """A map of constants as a constant's JSON."""
    if not isinstance(options, e.Call) or options.name not in ("map", "create_map"):
        return options
    items = [item.value if isinstance(item, e.Literal) else "" for item in options.args]
    return e.Literal(json.dumps(dict(zip(items[::2], items[1::2], strict=True))), t.StringType())


def _mode(options: e.Literal) -> str:
    given = json.loads(options.value) if isinstance(options.value, str) else {}
    return next((str(value).upper() for key, value in given.items() if str(key).lower() == "mode"), "")


def _extracted(call: e.Call, fold: Fold) -> e.Expression:
    child, key = call.args
    kind = type_of(child)
    struct = kind.elementType if isinstance(kind, t.ArrayType) else kind
    if isinstance(struct, t.StructType) and isinstance(key, e.Literal) and isinstance(key.value, str):
        return e.Member(child, _field(struct, key.value, fold).name)
    if isinstance(kind, t.ArrayType):
        if isinstance(type_of(key), t.NullType):
            return e.Literal(None, kind.elementType)
        if not isinstance(type_of(key), t.IntegralType):
            raise _mismatch(call, f'an array is indexed by "INTEGRAL", not "{type_of(key).simpleString().upper()}"')
        return e.Call("getitem", (child, key))
    if isinstance(kind, t.MapType):
        return e.Call("getitem", (child, key if type_of(key) == kind.keyType else e.Cast(key, kind.keyType)))
    raise AnalysisException(
        f'Can\'t extract a value from "{pretty(child)}". Need a complex type [STRUCT, ARRAY, MAP] but got "{kind.simpleString().upper()}".',
        "INVALID_EXTRACT_BASE_FIELD_TYPE",
    )


def _field(kind: t.StructType, name: str, fold: Fold) -> t.StructField:
    found = [field for field in kind if fold(field.name) == fold(name)]
    if len(found) > 1:
        raise AnalysisException(
            f"Ambiguous reference to the field `{name}`. It appears {len(found)} times.", "AMBIGUOUS_REFERENCE_TO_FIELDS"
        )
    if not found:
        listed = ", ".join(f"`{field.name}`" for field in kind)
        raise AnalysisException(f"No such struct field `{name}` in {listed}.", "FIELD_NOT_FOUND")
    return found[0]


def _with_field(struct: e.Expression, path: Sequence[str], value: e.Expression, fold: Fold) -> e.Expression:
    kind = _struct(struct)
    first, *rest = path
    new = _with_field(e.Member(struct, _field(kind, first, fold).name), rest, value, fold) if rest else _bare(value)
    names, values = [], []
    found = False
    for field in kind:
        hit = fold(field.name) == fold(first)
        found = found or hit
        names.append(first if hit and not rest else field.name)
        values.append(new if hit else e.Member(struct, field.name))
    if not found:
        names.append(first)
        values.append(new)
    return _unless_null(struct, e.StructOf(tuple(names), tuple(values)))


def _without_field(struct: e.Expression, path: Sequence[str], fold: Fold) -> e.Expression:
    kind = _struct(struct)
    first, *rest = path
    if rest:
        field = _field(kind, first, fold).name
        return _with_field(struct, (first,), _without_field(e.Member(struct, field), rest, fold), fold)
    kept = [field.name for field in kind if fold(field.name) != fold(first)]
    if len(kept) == len(kind):
        return struct
    if not kept:
        raise AnalysisException("Cannot drop all fields in struct.", "DATATYPE_MISMATCH.CANNOT_DROP_ALL_FIELDS")
    return _unless_null(struct, e.StructOf(tuple(kept), tuple(e.Member(struct, name) for name in kept)))


def _unless_null(struct: e.Expression, made: e.Expression) -> e.Expression:
    return e.Case(((e.Call("isnotnull", (struct,)), made),)) if nullable(struct) else made


def _struct(expression: e.Expression) -> t.StructType:
    kind = type_of(expression)
    if not isinstance(kind, t.StructType):
        raise AnalysisException(
            f'"{pretty(expression)}" should be a "STRUCT", not "{kind.simpleString().upper()}".', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
        )
    return kind


def _member_name(value: e.Expression, position: int) -> str:
    match value:
        case e.Alias() | e.Attribute() | e.Member() | e.Variable():
            return value.name
        case _:
            return f"col{position + 1}"


def _bare(value: e.Expression) -> e.Expression:
    return value.child if isinstance(value, e.Alias) else value


def _constant(name: e.Expression) -> str:
    if not isinstance(name, e.Literal) or name.value is None:
        raise AnalysisException(f'the name of a field must be a constant, not "{pretty(name)}".', "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT")
    return str(name.value)


def _path(name: str) -> list[str]:
    return [part.strip("`") for part in name.split(".")]


def _mismatch(call: e.Call, why: str) -> AnalysisException:
    return AnalysisException(
        f'Cannot resolve "{pretty(call)}" due to data type mismatch: {why}.', "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"
    )


def decoded(call: e.Call) -> e.Expression:
    """`decode` of a value, pairs of what it may equal and what it is then, and maybe what it is else. Null equals null."""
    value, *rest = call.args
    otherwise = rest.pop() if len(rest) % 2 else None
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return e.Case(tuple((e.Call("<=>", (value, one)), then) for one, then in pairs), otherwise)
