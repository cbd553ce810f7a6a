"""Expressions in SQL: sqlglot parses Spark's dialect, and its tree becomes ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import expressions as g
from sqlglot.expressions.core import Expression as Node

from quiver.sql import types as t
from quiver.sql.analysis.clauses import one_column
from quiver.sql.errors import AnalysisException, ParseException
from quiver.sql.frontend import datafusion, literals, patterns
from quiver.sql.frontend.call_arguments import named, of_nulls, speaks_of_nulls
from quiver.sql.frontend.constants import folded, negative
from quiver.sql.frontend.dialect import LITERAL, VARIANT_PATH, parsed, unsupported
from quiver.sql.frontend.signatures import by_place
from quiver.sql.frontend.types import type_of_node
from quiver.sql.frontend.windows import windowed
from quiver.sql.frontend.within_group import within_group
from quiver.sql.tree import expressions as e

if TYPE_CHECKING:
    from quiver.sql.tree.relations import Relation

Subqueries = Callable[[Node], "Relation"]
Routine = Callable[[Sequence[e.Expression], Sequence["str | None"]], e.Expression]
"""Takes a call's arguments and their names, None for those by place."""

_BINARY: dict[type[Any], str] = {
    g.Add: "+", g.Sub: "-", g.Mul: "*", g.Div: "/", g.Mod: "%", g.IntDiv: "div", g.EQ: "=", g.NEQ: "<>", g.LT: "<", g.LTE: "<=", g.GT: ">",
    g.GTE: ">=", g.NullSafeEQ: "<=>", g.And: "and", g.Or: "or", g.RegexpLike: "rlike", g.DPipe: "concat",
    g.BitwiseAnd: "&", g.BitwiseOr: "|", g.BitwiseXor: "^", g.BitwiseLeftShift: "<<", g.BitwiseRightShift: ">>",
}  # fmt: skip
_CONSTANTS: dict[type[Any], str] = {
    g.CurrentDate: "current_date", g.CurrentTimestamp: "current_timestamp", g.CurrentUser: "current_user", g.SessionUser: "session_user",
    g.Localtimestamp: "localtimestamp", g.CurrentTime: "current_time", g.Localtime: "current_time",
}  # fmt: skip
_OF_UNITS = {
    **dict.fromkeys(("timestampadd", "dateadd", "date_add"), "timestampadd"),
    **dict.fromkeys(("timestampdiff", "datediff", "date_diff"), "timestampdiff"),
}
_FIRSTS = frozenset({"first", "first_value", "last", "last_value", "any_value"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an expression may refer to beside columns: `zone` of timestamps without one, the current `database`, values of `:name`
    and `?` (as `:_1`, `:_2`), and functions of the session."""

    zone: str = "UTC"
    parameters: Mapping[str, e.Expression] = field(default_factory=dict)
    routines: Mapping[str, Routine] = field(default_factory=dict)
    database: str = "default"


def parse_expression(text: str, surroundings: Surroundings | None = None) -> e.Expression:
    """One expression of Spark's SQL, maybe with an alias. Raises ParseException."""
    statement = parsed(f"SELECT {text}")
    if (
        not isinstance(statement, g.Select)
        or len(statement.expressions) != 1
        or set(statement.args) - {"expressions", "kind", "hint", "distinct"} - {key for key, value in statement.args.items() if not value}
    ):
        raise ParseException(f"not one expression: {text}", "PARSE_SYNTAX_ERROR")
    return Reader(_no_subqueries, surroundings or Surroundings()).read(statement.expressions[0])


def _no_subqueries(query: Node) -> Relation:
    raise AnalysisException("a subquery can't be used here: there is no query around it", "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY")


class Reader:
    """sqlglot's expressions as ours. `subquery` reads a query inside an expression; `windows` are those of the WINDOW clause."""

    def __init__(self, subquery: Subqueries, surroundings: Surroundings, windows: Mapping[str, Node] | None = None) -> None:
        self._subquery = subquery
        self._around = surroundings
        self.windows = windows or {}
        self._variables: list[str] = []
        self.unnests = False
        """Whether there is an unnest() already."""

    def read(self, node: Node) -> e.Expression:
        """Raises ParseException for what has no meaning here."""
        if node.args.get("negate"):
            return self._negated(node)
        kind = type(node)
        if kind in _BINARY:
            if node.meta.get(LITERAL):
                return self._interval(node)
            if isinstance(node.expression, g.All | g.Any):
                return datafusion.quantified(self, node)
            return e.Call(_BINARY[kind], (self.read(node.this), self.read(node.expression)))
        if kind in _CONSTANTS:
            return e.Call(_CONSTANTS[kind])
        match node:
            case g.Paren():
                return self.read(node.this)
            case g.Alias():
                return e.Alias(self.read(node.this), node.alias)
            case g.Aliases():
                return e.MultiAlias(self.read(node.this), tuple(item.name for item in node.expressions))
            case g.Column():
                return self._column(node)
            case g.Identifier() | g.Var():
                return self._name((node.name.upper() if isinstance(node, g.Var) and node.name.upper() == "ALL" else node.name,))
            case g.Star():
                return self._star((), node)
            case g.Dot():
                return self._dotted(node)
            case g.Bracket():
                result = self.read(node.this)
                for key in node.expressions:
                    result = e.Call("getitem", (result, self.read(key)))
                return result
            case g.Literal():
                return e.Literal(node.this, t.StringType()) if node.is_string else literals.number(str(node.this))
            case g.RawString():
                return e.Literal(node.this, t.StringType())
            case g.Concat():
                return self._adjacent(node)
            case g.HexString():
                digits = str(node.this)
                return e.Literal(bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}"), t.BinaryType())
            case g.Boolean():
                return e.Literal(bool(node.this), t.BooleanType())
            case g.Null():
                return e.Literal(None, t.NullType())
            case g.Placeholder() | g.Parameter():
                return self._parameter(node)
            case g.Neg():
                inner = self.read(node.this)
                if isinstance(inner, e.Literal) and isinstance(inner.type, t.NumericType) and isinstance(node.this, g.Literal | g.Cast):
                    return negative(inner)
                return e.Call("- ", (inner,))
            case g.BitwiseNot():
                return e.Call("~", (self.read(node.this),))
            case g.Not():
                return self._not(node)
            case g.Is():
                return self._is(node)
            case g.NullSafeNEQ():
                return e.Call("not", (e.Call("<=>", (self.read(node.this), self.read(node.expression))),))
            case g.Between():
                return e.Call("between", tuple(self.read(part) for part in (node.this, node.args["low"], node.args["high"])))
            case g.Like() | g.ILike():
                return patterns.like(self, node)
            case g.Escape():
                return patterns.like(self, node.this, self.read(node.expression))
            case g.In():
                return self._in(node)
            case g.Exists():
                return e.Exists(self._subquery(node.this))
            case g.Subquery() | g.Select():
                return one_column(self._subquery(node))
            case g.Case():
                return self._case(node)
            case g.Cast():
                return self._cast(node)
            case g.Interval():
                return self._interval(node)
            case g.Tuple():
                return e.Call("named_struct", tuple(part for item in enumerate(node.expressions, 1) for part in self._member(*item)))
            case g.Extract() if node.this.name.lower() == "epoch":
                return e.Call("extract epoch", (self.read(node.expression),))
            case g.Extract():
                unit = e.Literal(node.this.name, t.StringType())
                return e.Call("extract", (unit, self.read(node.expression)))
            case g.StrPosition():
                return e.Call("locate", (self.read(node.args["substr"]), self.read(node.this), e.Literal(1, t.IntegerType())))
            case g.Trim():
                name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get((node.args.get("position") or "").upper(), "trim")
                return self.call(name, [*([node.expression] if node.args.get("expression") is not None else []), node.this])
            case g.Substring():
                return self.call("substring", [node.args[key] for key in ("this", "start", "length") if node.args.get(key) is not None])
            case g.Overlay():
                keys = ("this", "expression", "from_", "for_")
                return self.call("overlay", [node.args[key] for key in keys if node.args.get(key) is not None])
            case g.Filter():
                return self._filtered(node)
            case g.IgnoreNulls() | g.RespectNulls():
                return of_nulls(self.read(node.this), node)
            case g.WithinGroup():
                return self._within_group(node)
            case g.Window():
                return windowed(self, node)
            case g.Ordered():
                return e.SortKey(self.read(node.this), not node.args.get("desc"), node.args.get("nulls_first"))
            case g.Lambda():
                return self._lambda(node)
            case g.Anonymous():
                return self._function(node)
            case g.JSONExtract() | g.JSONExtractScalar():
                raise unsupported("a function outside the arguments of a higher-order function, or the path operator", node)
            case _:
                return datafusion.expression(self, node)

    # ---- names ----

    def _column(self, node: g.Column) -> e.Expression:
        parts = tuple(part.name for part in node.parts)
        if isinstance(node.this, g.Star):
            return self._star(parts[:-1], node.this)
        return self._name(parts)

    def _name(self, parts: tuple[str, ...]) -> e.Expression:
        if parts[0] in self._variables:
            return _members(e.Variable(parts[0]), parts[1:])
        return e.Name(parts)

    def _star(self, qualifier: tuple[str, ...], node: g.Star) -> e.Expression:
        if node.args.get("rename"):
            raise unsupported("RENAME of a star's columns", node)
        replaced = tuple(item for part in node.args.get("replace") or [] if isinstance(item := self.read(part), e.Alias))
        left_out = [column.parts if isinstance(column, g.Column) else [column] for column in node.args.get("except_") or []]
        return e.Star(qualifier, tuple(tuple(part.name for part in parts) for parts in left_out), replaced=replaced)

    def _dotted(self, node: g.Dot) -> e.Expression:
        if isinstance(node.expression, g.Star):
            inner = self.read(node.this)
            if isinstance(inner, e.Name):
                return e.Star(inner.parts)
            raise unsupported("a star of an expression", node)
        if isinstance(node.expression, g.Anonymous | g.Func):
            raise AnalysisException(f"Cannot resolve routine `{node.sql(dialect='spark')}`.", "UNRESOLVED_ROUTINE")
        inner = self.read(node.this)
        if isinstance(inner, e.Name):
            return e.Name((*inner.parts, node.expression.name))
        return _members(inner, (node.expression.name,))

    def _parameter(self, node: Node) -> e.Expression:
        name = node.this if isinstance(node.this, str) else node.name
        found = self._around.parameters.get(name)
        if found is None:
            raise AnalysisException(
                f"Found the unbound parameter: {name or '?'}. Please give a value for it in `args`.", "UNBOUND_SQL_PARAMETER"
            )
        return found

    # ---- operators ----

    def _negated(self, node: Node) -> e.Expression:
        positive = node.copy()
        positive.set("negate", None)
        if isinstance(node, g.Like | g.ILike) and isinstance(node.expression, g.All | g.Any):
            return patterns.quantified(self, positive, negate=True)
        return e.Call("not", (self.read(positive),))

    def _not(self, node: g.Not) -> e.Expression:
        inner = node.this
        if isinstance(inner, g.Is) and isinstance(inner.expression, g.Null) and not inner.args.get("negate"):
            return e.Call("isnotnull", (self.read(inner.this),))
        return e.Call("not", (self.read(inner),))

    def _is(self, node: g.Is) -> e.Expression:
        value = self.read(node.this)
        if isinstance(node.expression, g.Null):
            return e.Call("isnull", (value,))
        return e.Call("<=>", (value, self.read(node.expression)))

    def _adjacent(self, node: g.Concat) -> e.Expression:
        """Strings beside each other are one."""
        parts = [self.read(part) for part in node.expressions]
        text = [part.value for part in parts if isinstance(part, e.Literal) and isinstance(part.value, str)]
        if len(text) != len(parts):
            return e.Call("concat", tuple(parts))
        return e.Literal("".join(text), t.StringType())

    def _in(self, node: g.In) -> e.Expression:
        child = self.read(node.this)
        query = node.args.get("query")
        if query is not None:
            return e.InSubquery(child, self._subquery(query.this if isinstance(query, g.Subquery) else query))
        return e.In(child, tuple(map(self.read, node.expressions)))

    def _member(self, place: int, item: Node) -> tuple[e.Expression, e.Expression]:
        """A name and a value of `(a, 1)`: a column's name, or one by its place."""
        value = self.read(item)
        name = value.parts[-1] if isinstance(value, e.Name) else value.name if isinstance(value, e.Alias | e.Variable) else f"col{place}"
        return e.Literal(name, t.StringType()), value

    def _case(self, node: g.Case) -> e.Expression:
        operand = None if node.this is None else self.read(node.this)
        branches = []
        for branch in node.args["ifs"]:
            when = self.read(branch.this)
            branches.append((when if operand is None else e.Call("=", (operand, when)), self.read(branch.args["true"])))
        otherwise = node.args.get("default")
        return e.Case(tuple(branches), None if otherwise is None else self.read(otherwise))

    def _cast(self, node: g.Cast) -> e.Expression:
        kind = type_of_node(node.to)
        if node.meta.get(LITERAL) and isinstance(node.this, g.Literal | g.RawString):
            if isinstance(node.this, g.Literal) and not node.this.is_string:
                return literals.suffixed(node.this.name, kind)
            if isinstance(kind, t.DecimalType):
                return literals.exact(node.this.name)
            return literals.typed(str(node.this.this), kind, self._around.zone)
        return e.Cast(self.read(node.this), kind, isinstance(node, g.TryCast))

    def _interval(self, node: Node) -> e.Expression:
        found = literals.interval(node, self._amount)
        if found is None:
            raise ParseException(f"The interval {node.sql(dialect='spark')} is not of constants.", "INVALID_INTERVAL_FORMAT")
        return found

    def _amount(self, node: Node) -> str | None:
        """What an interval says before its unit, as text; None when it is neither a literal nor a parameter of one."""
        if isinstance(node, g.Neg):
            text = self._amount(node.this)
            return None if text is None else text[1:] if text.startswith("-") else f"-{text}"
        if isinstance(node, g.Placeholder | g.Parameter):
            value = folded(self._parameter(node))
            return str(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
        return node.name if isinstance(node, g.Literal) else None

    # ---- functions ----

    def _function(self, node: g.Anonymous) -> e.Expression:
        name, args = node.name, list(node.expressions)
        lower = name.lower()
        if lower == "identifier" and not isinstance(node.this, g.Identifier):
            return e.Name(self.identifier(args))
        if lower in _OF_UNITS and len(args) == 3:
            unit = e.Literal(args[0].name.upper(), t.StringType())
            return e.Call(_OF_UNITS[lower], (unit, self.read(args[1]), self.read(args[2])))
        if lower == VARIANT_PATH:
            return e.Call(VARIANT_PATH, tuple(map(self.read, args)))
        if lower in ("date_part", "datepart") and len(args) == 2 and args[0].name.lower() == "epoch":
            return e.Call("extract epoch", (self.read(args[1]),))
        if args and isinstance(args[-1], g.Order):
            return datafusion.ordered(self, name, args)
        if lower in datafusion.FUNCTIONS and lower not in self._around.routines:
            return datafusion.function(self, lower, args)
        return self.call(name, args)

    def identifier(self, args: Sequence[Node]) -> tuple[str, ...]:
        """The parts of the name that `IDENTIFIER(…)` gives."""
        from quiver.sql.literals import named

        value = self.constant(args[0]) if len(args) == 1 else None
        found = named(value) if isinstance(value, str) else None
        if not isinstance(found, e.Name):
            raise AnalysisException("IDENTIFIER takes one constant string that is a name.", "NOT_A_CONSTANT_STRING.NOT_CONSTANT")
        return found.parts

    def constant(self, node: Node) -> object:
        """The value of a constant expression: a literal, a parameter, or strings put together."""
        return folded(self.read(node))

    def call(self, name: str, args: Sequence[Node]) -> e.Expression:
        """A function's call with these arguments."""
        lower = name.lower()
        distinct = False
        if len(args) == 1 and isinstance(args[0], g.Distinct):
            distinct = True
            args = args[0].expressions
        if lower == "count" and not distinct and len(args) == 1 and isinstance(args[0], g.Star) and not args[0].args.get("except_"):
            return e.Call("count")
        if lower in ("current_database", "current_schema", "current_path") and not args:
            return e.Call(
                "current_path" if lower == "current_path" else "current_schema", (e.Literal(self._around.database, t.StringType()),)
            )
        if args and isinstance(nulls := args[0], g.IgnoreNulls | g.RespectNulls) and not speaks_of_nulls(nulls.this):
            return of_nulls(self.call(name, [nulls.this, *args[1:]]), nulls)
        args, names = named(name, args)
        operands = [self.read(argument) for argument in args]
        if lower in ("trim", "ltrim", "rtrim") and len(operands) == 2:
            operands.reverse()  # As text, what is taken away comes first.
        routine = self._around.routines.get(lower)
        if routine is not None:
            return routine(operands, names)
        operands = by_place(name, operands, names)
        ignore_nulls = False
        if lower in _FIRSTS and len(operands) == 2 and isinstance(flag := operands[1], e.Literal):
            ignore_nulls = bool(flag.value)
            operands.pop()
        return e.Call(lower, tuple(operands), distinct, ignore_nulls=ignore_nulls)

    def _filtered(self, node: g.Filter) -> e.Expression:
        call = self.read(node.this)
        if not isinstance(call, e.Call):
            raise unsupported("FILTER of what is no function", node)
        return replace(call, where=self.read(node.expression.this))

    def _within_group(self, node: g.WithinGroup) -> e.Expression:
        keys = tuple(key for item in node.expression.expressions if isinstance(key := self.read(item), e.SortKey))
        return within_group(self.read(node.this), keys)

    def _lambda(self, node: g.Lambda) -> e.Expression:
        names = [item.name for item in node.expressions]
        self._variables += names
        try:
            return e.Lambda(tuple(names), self.read(node.this))
        finally:
            del self._variables[len(self._variables) - len(names) :]


def _members(value: e.Expression, names: Sequence[str]) -> e.Expression:
    for name in names:
        value = e.Call("getfield", (value, e.Literal(name, t.StringType())))
    return value
