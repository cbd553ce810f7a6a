"""The name that an expression has as a column when the user gave none: `(a + 1)`, `count(1)`, `upper(name)`."""

from __future__ import annotations

import datetime
from typing import assert_never

from quiver.sql import types as t
from quiver.sql.analysis.cast_functions import CAST_FUNCTIONS
from quiver.sql.analysis.rewriting import outer_references
from quiver.sql.registry.model import WITH_NULLS
from quiver.sql.tree import expressions as e
from quiver_proto.spark_functions.casts import shown_months, shown_span, written

_INFIX = frozenset({"+", "-", "*", "/", "%", "div", "=", "<=>", "<", "<=", ">", ">=", "and", "or", "&", "|", "^", "<<", ">>", ">>>"})
_RANKING = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "ntile", "counter_diff"})
"""They see the rows before, whatever the order's ties."""
_CAPITALS = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot", "csc", "degrees", "dense_rank", "e",
    "exp", "expm1", "floor", "hypot", "log10", "log1p", "log2", "percent_rank", "pi", "power", "radians", "rank", "sec", "signum", "sin",
    "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
_OTHER_NAMES = {
    "mean": "avg", "array_agg": "collect_list", "ceiling": "ceil", "timestamp_add": "timestampadd",
    "timestamp_diff": "timestampdiff", "create_map": "map",  "spark_partition_id": "SPARK_PARTITION_ID", "curdate": "current_date",
    "localtime": "current_time",
}  # fmt: skip
_DEFAULTS: dict[str, tuple[str, ...]] = {
    "round": ("", "0"), "bround": ("", "0"), "mask": ("", "X", "x", "n", "NULL"), "str_to_map": ("", ",", ":"), "sentences": ("", "", ""),
    "substr": ("", "", "2147483647"), "substring": ("", "", "2147483647"), "replace": ("", "", ""), "regexp_replace": ("", "", "", "1"),
    "regexp_instr": ("", "", "0"), "position": ("", "", "1"), "locate": ("", "", "1"), "lag": ("", "1", "NULL"), "lead": ("", "1", "NULL"),
    "to_unix_timestamp": ("", "yyyy-MM-dd HH:mm:ss"), "unix_timestamp": ("", "yyyy-MM-dd HH:mm:ss"), "listagg": ("", "NULL"),
    "hmac": ("", "", "SHA-256"), "vector_norm": ("", "2.0"), "vector_normalize": ("", "2.0"),
    "aes_encrypt": ("", "", "GCM", "DEFAULT", "", ""), "aes_decrypt": ("", "", "GCM", "DEFAULT", ""),
    "try_aes_decrypt": ("", "", "GCM", "DEFAULT", ""), "from_unixtime": ("", "yyyy-MM-dd HH:mm:ss"),
    "make_interval": (*("0",) * 6, "0.000000"), "try_make_interval": (*("0",) * 6, "0.000000"),
    "split": ("", "", "-1"), "months_between": ("", "", "true"), "make_ym_interval": ("0", "0"),
    "make_dt_interval": (*("0",) * 3, "0.000000"),
    "string_agg": ("", "NULL"), "current_time": ("6",), "localtime": ("6",),
    "variant_set": ("", "", "", "true"), "try_variant_set": ("", "", "", "true"), "variant_strip_nulls": ("", "true"),
    "percentile": ("", "", "1"), "percentile_approx": ("", "", "10000"), "approx_percentile": ("", "", "10000"),
}  # fmt: skip
"""What Spark writes for arguments that were left out, by position."""
_DEFAULTS |= {
    "hll_sketch_agg": ("", "12"), "hll_union_agg": ("", "false"), "hll_union": ("", "", "false"),
    "theta_sketch_agg": ("", "12"), "theta_union_agg": ("", "12"), "theta_union": ("", "", "12"),
    **{
        f"{name}_{kind}": given
        for kind in ("double", "integer")
        for name, given in {
            "tuple_sketch_agg": ("", "", "12", "sum"), "tuple_sketch_summary": ("", "sum"), "tuple_union_agg": ("", "12", "sum"),
            "tuple_intersection_agg": ("", "sum"), "tuple_union": ("", "", "12", "sum"), "tuple_union_theta": ("", "", "12", "sum"),
            "tuple_intersection": ("", "", "sum"), "tuple_intersection_theta": ("", "", "sum"),
        }.items()
    },
}  # fmt: skip
_V = "namedlambdavariable()"
_COMPARED = (
    f"lambdafunction((IF((({_V} IS NULL) AND ({_V} IS NULL)), 0, (IF(({_V} IS NULL), 1, (IF(({_V} IS NULL), -1, (IF(({_V} < {_V}), -1, "
    f"(IF(({_V} > {_V}), 1, 0)))))))))), {_V}, {_V})"
)
"""What Spark writes for the comparison of array_sort that was left out."""


def pretty(expression: e.Expression) -> str:
    """Spark's name for it."""
    match expression:
        case e.Literal():
            return _literal(expression)
        case e.Name():
            return expression.parts[-1]
        case e.Attribute():
            return expression.name
        case e.OuterReference():
            return expression.attribute.name
        case e.Alias():
            return f"{pretty(expression.child)} AS {expression.name}"
        case e.MultiAlias():
            return pretty(expression.child)
        case e.Listed():
            return ", ".join(map(pretty, expression.columns))
        case e.Star():
            return ".".join((*expression.qualifier, "*"))
        case e.Call():
            return _call(expression)
        case e.Member():
            return f"{pretty(expression.child)}.{expression.name}"
        case e.StructOf():
            members = zip(expression.names, expression.values, strict=True)
            return f"named_struct({', '.join(f'{name}, {pretty(value)}' for name, value in members)})"
        case e.Cast():
            if isinstance(expression.type, t.ArrayType | t.MapType | t.StructType):
                return pretty(expression.child)
            return f"{'TRY_' if expression.lenient else ''}CAST({pretty(expression.child)} AS {expression.type.simpleString().upper()})"
        case e.Case():
            branches = " ".join(f"WHEN {pretty(when)} THEN {pretty(then)}" for when, then in expression.branches)
            otherwise = "" if expression.otherwise is None else f" ELSE {pretty(expression.otherwise)}"
            return f"CASE {branches}{otherwise} END"
        case e.In():
            return f"({pretty(expression.child)} IN ({', '.join(map(pretty, expression.options))}))"
        case e.SortKey():
            nulls = expression.ascending if expression.nulls_first is None else expression.nulls_first
            return f"{pretty(expression.child)} {'ASC' if expression.ascending else 'DESC'} NULLS {'FIRST' if nulls else 'LAST'}"
        case e.Windowed():
            function = expression.function
            ranking = isinstance(function, e.Call) and function.name in _RANKING
            if isinstance(function, e.Call) and function.name in ("lag", "lead"):
                return f"{pretty(function)} OVER {_window(expression.window, offset=_offset(function))}"
            return f"{pretty(function)} OVER {_window(expression.window, ranking)}"
        case e.WindowSpec():
            return _window(expression)
        case e.Lambda():
            return f"lambdafunction({pretty(expression.body)}, {', '.join('namedlambdavariable()' for _ in expression.parameters)})"
        case e.Variable():
            return "namedlambdavariable()"
        case e.PythonCall():
            named = zip(expression.names, expression.args, strict=True)
            return f"{expression.name}({', '.join(f'{name} => {pretty(arg)}' if name else pretty(arg) for name, arg in named)})"
        case e.Outer():
            return f"outer({pretty(expression.child)})"
        case e.LateSubquery():
            return f"{'scalarsubquery' if expression.kind == 'scalar' else 'exists'}()"
        case e.ScalarSubquery():
            return f"scalarsubquery({_outer(expression)})"
        case e.Exists():
            return f"exists({_outer(expression)})"
        case e.InSubquery():
            return f"({pretty(expression.child)} IN (listquery({_outer(expression)})))"
        case e.Expression():
            raise AssertionError(expression)
        case _:
            assert_never(expression)


def _fields_of(call: e.Call, struct: str) -> str:
    """The beginning of a struct's changes: those of a struct that is changed already go on."""
    inner = call.args[0]
    changed = isinstance(inner, e.Call) and inner.name in ("withfield", "dropfields")
    return struct.removesuffix(")") if changed else f"update_fields({struct}"


def _call(call: e.Call) -> str:
    args = [pretty(argument) for argument in call.args]
    name = call.name.lower()
    if name in _INFIX and len(args) == 2:
        return f"({args[0]} {name.upper() if name in ('and', 'or') else name} {args[1]})"
    match name:
        case "current_schema" | "current_database":
            return "current_schema()"
        case "aggregate" | "reduce" if len(args) == 3:
            args.append(f"lambdafunction({_V}, {_V})")
        case "array_sort" if len(args) == 1:
            args.append(_COMPARED)
        case "current_path":
            return "current_path()"
        case "mode" if len(args) == 2:
            order = f" WITHIN GROUP (ORDER BY {args[0]} DESC)" if args[1] == "true" else ""
            return f"mode({'' if order else args[0]}){order}"
        case "percentile_cont" | "percentile_cont desc" | "percentile_disc" | "percentile_disc desc":
            shown, _, direction = name.partition(" ")
            order = f"{args[0]}{' DESC' if direction else ''}"
            return f"{shown}({args[1]}) WITHIN GROUP (ORDER BY {order}){_filtered(call)}"
        case "extract epoch":
            return f"extract(epoch FROM {args[0]})"
        case "at time zone":
            return f"({args[0]} AT TIME ZONE {args[1]})"
        case _ if call.name.endswith(WITH_NULLS):
            distinct = "DISTINCT " if call.distinct else ""
            return f"{call.name.removesuffix(WITH_NULLS)}({distinct}{args[0]}) RESPECT NULLS{_filtered(call)}"
        case "collect_list distinct" | "collect_list distinct desc":
            order = "DESC NULLS LAST" if name.endswith(" desc") else "ASC NULLS FIRST"
            return f"collect_list(DISTINCT {args[0]} ORDER BY {args[0]} {order}){_filtered(call)}"
        case "listagg distinct" | "listagg distinct desc":
            order = f"{args[0]} {'DESC NULLS LAST' if name.endswith(' desc') else 'ASC NULLS FIRST'}"
            return f"listagg(DISTINCT {', '.join(args)}) WITHIN GROUP (ORDER BY {order}){_filtered(call)}"
        case "mode within group" | "mode within group desc":  # Spark writes the other direction.
            return f"mode() WITHIN GROUP (ORDER BY {args[0]}{'' if name.endswith(' desc') else ' DESC'}){_filtered(call)}"
        case "try_to_time":
            return f"try_to_time(to_time({', '.join(args)}))"
        case "try_make_timestamp_ntz" if len(args) == 2:
            return f"try_make_timestamp_ntz(make_timestamp_ntz({', '.join(args)}))"
        case "make_timestamp_ltz" | "try_make_timestamp_ltz" if len(args) < 4:
            return f"make_timestamp({', '.join(args)})"
        case "time +" | "time -":
            return f"{args[0]} {name[-1]} {args[1]}"
        case _ if name in CAST_FUNCTIONS and len(args) == 1:
            return args[0]
        case "<>":
            return f"(NOT ({args[0]} = {args[1]}))"
        case "~":
            return f"~{args[0]}"
        case "substring" if len(args) == 2:
            args.append("2147483647")
        case "sort_array" if len(args) == 1:
            args.append("true")
        case "not":
            return f"(NOT {args[0]})"
        case "if":
            return f"(IF({', '.join(args)}))"
        case "isnull":
            return f"({args[0]} IS NULL)"
        case "isnotnull":
            return f"({args[0]} IS NOT NULL)"
        case "- ":
            return f"(- {args[0]})"
        case "negative":
            return f"negative({args[0]})"
        case "like" if len(args) == 2:
            return f"{args[0]} LIKE {args[1]}"
        case "like":
            return f"{args[0]} LIKE {args[1]} ESCAPE '{args[2]}'"
        case "rlike":
            return f"RLIKE({args[0]}, {args[1]})"
        case "positive":
            return f"(+ {args[0]})"
        case "bitwise_not":
            return f"~{args[0]}"
        case "log":
            return f"LOG(E(), {args[0]})" if len(args) == 1 else f"LOG({args[0]}, {args[1]})"
        case "trim" | "ltrim" | "rtrim" if len(args) > 1:
            side = {"trim": "BOTH", "ltrim": "LEADING", "rtrim": "TRAILING"}[name]
            return f"TRIM({side} {args[1]} FROM {args[0]})"
        case "window" | "session_window":
            return name
        case "convert_timezone" if len(args) == 2:
            args.insert(0, "current_timezone()")
        case "from_json" if len(args) > 1 and args[1].lower().startswith("map<"):
            return "entries"
        case (
            "approx_count_distinct"
            | "from_json"
            | "to_json"
            | "from_csv"
            | "to_csv"
            | "schema_of_json"
            | "schema_of_csv"
            | "from_xml"
            | "to_xml"
            | "schema_of_xml"
        ):
            args = args[:1]
        case "withfield":
            return f"{_fields_of(call, args[0])}, WithField({args[2]}))"
        case "dropfields":
            return f"{_fields_of(call, args[0])}, {', '.join('dropfield()' for _ in args[1:])})"
        case "extract":
            return f"extract({args[0]} FROM {args[1]})"
        case "getfield":
            return f"{args[0]}.{call.args[1].value}" if isinstance(call.args[1], e.Literal) else f"{args[0]}.{args[1]}"
        case "getitem":
            return f"{args[0]}[{args[1]}]"
        case "count" if not args:
            args = ["1"]
        case "variant_get" | "try_variant_get":
            args = args[:2]
        case "variant path":
            return f"variant_get({args[0]}, {args[1]})"
        case _:
            pass
    if call.name in _DEFAULTS:
        args += _DEFAULTS[call.name][len(args) :]
    inner = f"{'DISTINCT ' if call.distinct else ''}{', '.join(args)}"
    order = f" WITHIN GROUP (ORDER BY {', '.join(map(pretty, call.order))})" if call.order else ""
    if order and call.name not in ("listagg", "string_agg"):
        inner, order = f"{inner} ORDER BY {', '.join(map(pretty, call.order))}", ""
    shown = _OTHER_NAMES.get(call.name, call.name)
    ignoring = " ignore nulls" if call.ignore_nulls and call.name == "nth_value" else ""
    capitals = shown in _CAPITALS and not (len(args) > 1 and shown in ("ceil", "floor"))
    return f"{shown.upper() if capitals else shown}({inner}){ignoring}{order}{_filtered(call)}"


def _outer(subquery: e.ScalarSubquery | e.Exists | e.InSubquery) -> str:
    """The columns of the query around that a subquery refers to."""
    return ", ".join(attribute.name for attribute in outer_references(subquery.relation).values())


def _filtered(call: e.Call) -> str:
    return f" FILTER (WHERE {pretty(call.where)})" if call.where is not None else ""


def _offset(call: e.Call) -> str:
    """Of lag or lead: how many rows after the current one the value stands."""
    steps = call.args[1].value if len(call.args) > 1 and isinstance(call.args[1], e.Literal) else 1
    return str(-steps if call.name == "lag" else steps)


def _window(window: e.WindowSpec, ranking: bool = False, offset: str | None = None) -> str:
    parts = []
    if window.partition_by:
        parts.append(f"PARTITION BY {', '.join(map(pretty, window.partition_by))}")
    if window.order_by:
        parts.append(f"ORDER BY {', '.join(map(pretty, window.order_by))}")
    if offset is not None:
        parts.append(f"ROWS BETWEEN {offset} FOLLOWING AND {offset} FOLLOWING")
    elif window.frame is not None:
        frame = window.frame
        start, end = _bound(frame.start, "PRECEDING", frame.spelled), _bound(frame.end, "FOLLOWING", frame.spelled)
        parts.append(f"{frame.unit.upper()} BETWEEN {start} AND {end}")
    elif ranking:
        parts.append("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW")
    elif window.order_by:
        parts.append("RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW")
    else:
        parts.append("ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING")
    return f"({' '.join(parts)})"


def _bound(bound: int | e.Expression | None, side: str, spelled: bool) -> str:
    if bound is None:
        return f"UNBOUNDED {side}"
    if isinstance(bound, e.Expression):
        return f"{pretty(bound)} {side}"
    if spelled and bound < 0:
        return f"{-bound} PRECEDING"
    return "CURRENT ROW" if bound == 0 else f"{bound} FOLLOWING"


def _literal(literal: e.Literal) -> str:
    value = literal.value
    if isinstance(literal.type, t.DayTimeIntervalType | t.YearMonthIntervalType) and value is not None:
        shown = shown_span if isinstance(literal.type, t.DayTimeIntervalType) else shown_months
        return shown(value, literal.type.simpleString())
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case datetime.datetime():
            text = value.replace(tzinfo=None).isoformat(" ")
            word = "TIMESTAMP_NTZ" if isinstance(literal.type, t.TimestampNTZType) else "TIMESTAMP"
            return f"{word} '{text.rstrip('0') if value.microsecond else text}'"
        case datetime.time():
            return f"TIME '{value.isoformat().rstrip('0') if value.microsecond else value.isoformat()}'"
        case datetime.date():
            return f"DATE '{value.isoformat()}'"
        case bytes() | bytearray():
            return f"X'{value.hex().upper()}'"
        case float() if isinstance(literal.type, t.DoubleType | t.FloatType):
            return written(value)
        case _ if isinstance(literal.type, t.DayTimeIntervalType | t.YearMonthIntervalType):
            from quiver.sql.showing import interval_text

            return interval_text(value, literal.type)
        case _:
            return str(value)


def output_name(expression: e.Expression) -> str:
    """The name of a column that the user gave none: a cast of a column keeps the column's."""
    bare = expression
    while isinstance(bare, e.Cast):
        bare = bare.child
    return _variant_name(bare) or pretty(bare if isinstance(bare, e.Name | e.Attribute) else expression)


def _variant_name(expression: e.Expression) -> str | None:
    """Of `v:a.b` the name `b`."""
    if isinstance(expression, e.Call) and expression.name == "variant path" and isinstance(last := expression.args[2], e.Literal):
        return str(last.value)
    return None
