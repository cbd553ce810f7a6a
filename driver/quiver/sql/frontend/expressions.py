"""Expressions in SQL: sqlglot parses Spark's dialect, and its tree becomes ours."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import sqlglot
from sqlglot import expressions as g
from sqlglot.errors import SqlglotError
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.errors import AnalysisException, ParseException
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.tree.relations import Relation

Subqueries = Callable[[Node], "Relation"]

_BINARY: dict[type[Any], str] = {
    g.Add: "+", g.Sub: "-", g.Mul: "*", g.Div: "/", g.Mod: "%", g.IntDiv: "div", g.EQ: "=", g.NEQ: "<>", g.LT: "<", g.LTE: "<=", g.GT: ">",
    g.GTE: ">=", g.NullSafeEQ: "<=>", g.And: "and", g.Or: "or", g.Like: "like", g.ILike: "ilike", g.RegexpLike: "rlike", g.DPipe: "concat",
}  # fmt: skip
_RENAMED: dict[type[Any], str] = {
    g.Upper: "upper", g.Lower: "lower", g.Sum: "sum", g.Avg: "avg", g.Min: "min", g.Max: "max", g.Year: "year", g.Abs: "abs",
    g.Length: "length", g.Coalesce: "coalesce", g.Trim: "trim", g.StddevSamp: "stddev", g.Stddev: "stddev", g.Variance: "variance",
    g.RowNumber: "row_number", g.Concat: "concat",
}  # fmt: skip


def parsed(text: str) -> Node:
    """One statement of Spark's SQL. Raises ParseException."""
    try:
        return cast(Node, sqlglot.parse_one(text, read="spark"))
    except SqlglotError as error:
        raise ParseException(f"{error}", "PARSE_SYNTAX_ERROR") from None


def parse_expression(text: str) -> e.Expression:
    """One expression of Spark's SQL, maybe with an alias. Raises ParseException."""
    statement = parsed(f"SELECT {text}")
    if (
        not isinstance(statement, g.Select)
        or len(statement.expressions) != 1
        or set(statement.args) - {"expressions", "kind", "hint", "distinct"} - {key for key, value in statement.args.items() if not value}
    ):
        raise ParseException(f"not one expression: {text}", "PARSE_SYNTAX_ERROR")
    return Reader(_no_subqueries).read(statement.expressions[0])


def _no_subqueries(query: Node) -> Relation:
    raise AnalysisException("a subquery can't be used here: there is no query around it", "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY")


class Reader:
    """sqlglot's expressions as ours. `subquery` reads a query inside an expression."""

    def __init__(self, subquery: Subqueries) -> None:
        self._subquery = subquery

    def read(self, node: Node) -> e.Expression:
        """Raises AnalysisException for what has no meaning here."""
        if node.args.get("negate"):
            positive = node.copy()
            positive.set("negate", None)
            return e.Call("not", (self.read(positive),))
        kind = type(node)
        if kind in _BINARY:
            return e.Call(_BINARY[kind], (self.read(node.this), self.read(node.expression)))
        match node:
            case g.Paren():
                return self.read(node.this)
            case g.Alias():
                return e.Alias(self.read(node.this), node.alias)
            case g.Column():
                if isinstance(node.this, g.Star):
                    return e.Star(tuple(part.name for part in node.parts[:-1]))
                return e.Name(tuple(part.name for part in node.parts))
            case g.Star():
                return e.Star()
            case g.Dot():
                return e.Call("getfield", (self.read(node.this), e.Literal(node.expression.name, t.StringType())))
            case g.Literal():
                return _literal(node)
            case g.Boolean():
                return e.Literal(bool(node.this), t.BooleanType())
            case g.Null():
                return e.Literal(None, t.NullType())
            case g.Neg():
                inner = self.read(node.this)
                if isinstance(inner, e.Literal) and isinstance(inner.type, t.NumericType):
                    return e.Literal(-inner.value, inner.type)
                return e.Call("negative", (inner,))
            case g.Not():
                return e.Call("not", (self.read(node.this),))
            case g.Is():
                return e.Call("isnull", (self.read(node.this),)) if isinstance(node.expression, g.Null) else e.Call(
                    "<=>", (self.read(node.this), self.read(node.expression))
                )  # fmt: skip
            case g.Between():
                value = self.read(node.this)
                return e.Call(
                    "and", (e.Call(">=", (value, self.read(node.args["low"]))), e.Call("<=", (value, self.read(node.args["high"]))))
                )
            case g.In():
                return self._in(node)
            case g.Exists():
                return e.Exists(self._subquery(node.this))
            case g.Subquery():
                return e.ScalarSubquery(self._subquery(node.this))
            case g.Case():
                operand = None if node.this is None else self.read(node.this)
                branches = []
                for branch in node.args["ifs"]:
                    when = self.read(branch.this)
                    branches.append((when if operand is None else e.Call("=", (operand, when)), self.read(branch.args["true"])))
                otherwise = node.args.get("default")
                return e.Case(tuple(branches), None if otherwise is None else self.read(otherwise))
            case g.If():
                otherwise = node.args.get("false")
                return e.Case(((self.read(node.this), self.read(node.args["true"])),), None if otherwise is None else self.read(otherwise))
            case g.Cast():
                return self._cast(node)
            case g.Extract():
                return e.Call(node.this.name.lower(), (self.read(node.expression),))
            case g.Interval():
                return _interval(node)
            case g.Count():
                return self._count(node)
            case g.Filter():
                from dataclasses import replace

                call = self.read(node.this)
                assert isinstance(call, e.Call)
                return replace(call, where=self.read(node.expression.this))
            case g.Window():
                return self._window(node)
            case g.Ordered():
                nulls = node.args.get("nulls_first")
                return e.SortKey(self.read(node.this), not node.args.get("desc"), nulls)
            case g.Substring():
                length = node.args.get("length")
                args = [node.this, node.args["start"], *([] if length is None else [length])]
                return e.Call("substring", tuple(map(self.read, args)))
            case g.Anonymous():
                return e.Call(node.name.lower(), tuple(map(self.read, node.expressions)))
            case g.Distinct():
                raise AnalysisException("DISTINCT is for aggregates", "PARSE_SYNTAX_ERROR")
            case g.Func():
                return self._function(node)
            case _:
                raise AnalysisException(f"{node.sql(dialect='spark')} is not supported", "UNSUPPORTED_FEATURE")

    def _function(self, node: g.Func) -> e.Expression:
        name = _RENAMED.get(type(node)) or node.sql_name().lower()
        operands: list[Node] = []
        distinct = False
        for value in (node.args.get(key) for key in node.arg_types):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, g.Distinct):
                    distinct = True
                    operands += item.expressions
                elif isinstance(item, Node):
                    operands.append(item)
        return e.Call(name, tuple(map(self.read, operands)), distinct)

    def _count(self, node: g.Count) -> e.Expression:
        inner = node.this
        if isinstance(inner, g.Distinct):
            return e.Call("count", tuple(map(self.read, inner.expressions)), True)
        if inner is None or isinstance(inner, g.Star):
            return e.Call("count")
        return e.Call("count", tuple(map(self.read, [inner, *node.expressions])))

    def _in(self, node: g.In) -> e.Expression:
        child = self.read(node.this)
        query = node.args.get("query")
        if query is not None:
            return e.InSubquery(child, self._subquery(query.this if isinstance(query, g.Subquery) else query))
        return e.In(child, tuple(map(self.read, node.expressions)))

    def _cast(self, node: g.Cast) -> e.Expression:
        child, kind = self.read(node.this), type_of_node(node.to)
        if isinstance(child, e.Literal) and isinstance(child.type, t.StringType) and isinstance(kind, t.DateType):
            try:
                return e.Literal(datetime.date.fromisoformat(child.value.strip()), kind)
            except ValueError:
                pass
        return e.Cast(child, kind, isinstance(node, g.TryCast))

    def _window(self, node: g.Window) -> e.Expression:
        function = self.read(node.this)
        order = node.args.get("order")
        frame = node.args.get("spec")
        return e.Windowed(
            function,
            e.WindowSpec(
                tuple(map(self.read, node.args.get("partition_by") or [])),
                tuple(key for item in (order.expressions if order else []) if isinstance(key := self.read(item), e.SortKey)),
                None if frame is None else self._frame(frame),
            ),
        )

    def _frame(self, spec: g.WindowSpec) -> e.Frame:
        def bound(side: str, default: int | None) -> int | e.Expression | None:
            value, direction = spec.args.get(side), spec.args.get(f"{side}_side")
            if value is None:
                return default
            if value == "UNBOUNDED":
                return None
            if value == "CURRENT ROW":
                return 0
            offset = self.read(value)
            if isinstance(offset, e.Literal) and isinstance(offset.value, int):
                return -offset.value if direction == "PRECEDING" else offset.value
            return offset

        return e.Frame(spec.args["kind"].lower(), bound("start", None), bound("end", 0))


def _literal(node: g.Literal) -> e.Literal:
    if node.is_string:
        return e.Literal(node.this, t.StringType())
    text = str(node.this)
    if text.isdigit():
        value = int(text)
        return e.Literal(value, t.IntegerType() if value < 2**31 else t.LongType() if value < 2**63 else t.DecimalType(len(text), 0))
    if "e" in text.lower():
        return e.Literal(float(text), t.DoubleType())
    number = decimal.Decimal(text)
    scale = max(0, -int(number.as_tuple().exponent))
    return e.Literal(number, t.DecimalType(max(len(number.as_tuple().digits), scale), scale))


def _interval(node: g.Interval) -> e.Literal:
    unit = node.args["unit"].name.lower().rstrip("s") if node.args.get("unit") else ""
    amount = int(node.this.name) if node.this is not None and node.this.name.lstrip("-").isdigit() else None
    if amount is None or not unit:
        raise AnalysisException(f"{node.sql(dialect='spark')} is not supported", "UNSUPPORTED_FEATURE")
    if unit in ("year", "month"):
        return e.Literal(amount * (12 if unit == "year" else 1), t.YearMonthIntervalType())
    return e.Literal(datetime.timedelta(**{f"{unit}s": amount}), t.DayTimeIntervalType())


_TYPES: dict[Any, t.DataType] = {
    g.DataType.Type.TINYINT: t.ByteType(), g.DataType.Type.SMALLINT: t.ShortType(), g.DataType.Type.INT: t.IntegerType(),
    g.DataType.Type.BIGINT: t.LongType(), g.DataType.Type.FLOAT: t.FloatType(), g.DataType.Type.DOUBLE: t.DoubleType(),
    g.DataType.Type.TEXT: t.StringType(), g.DataType.Type.BOOLEAN: t.BooleanType(), g.DataType.Type.BINARY: t.BinaryType(),
    g.DataType.Type.DATE: t.DateType(), g.DataType.Type.TIMESTAMP: t.TimestampType(), g.DataType.Type.TIMESTAMPTZ: t.TimestampType(),
    g.DataType.Type.TIMESTAMPNTZ: t.TimestampNTZType(), g.DataType.Type.TIMESTAMPLTZ: t.TimestampType(), g.DataType.Type.NULL: t.NullType(),
}  # fmt: skip


def type_of_node(node: Node) -> t.DataType:
    """A type as sqlglot read it. Raises ParseException."""
    assert isinstance(node, g.DataType)
    inner = node.expressions
    if node.this in _TYPES:
        return _TYPES[node.this]
    match node.this:
        case g.DataType.Type.DECIMAL:
            sizes = [int(item.this.name) for item in inner]
            return t.DecimalType(*sizes) if sizes else t.DecimalType()
        case g.DataType.Type.VARCHAR:
            return t.VarcharType(int(inner[0].this.name)) if inner else t.StringType()
        case g.DataType.Type.CHAR:
            return t.CharType(int(inner[0].this.name)) if inner else t.StringType()
        case g.DataType.Type.ARRAY:
            return t.ArrayType(type_of_node(inner[0]))
        case g.DataType.Type.MAP:
            return t.MapType(type_of_node(inner[0]), type_of_node(inner[1]))
        case g.DataType.Type.STRUCT:
            return t.StructType([t.StructField(item.name, type_of_node(item.args["kind"])) for item in inner])
        case _:
            raise ParseException(f"unknown type {node.sql(dialect='spark')}", "UNSUPPORTED_DATATYPE")
