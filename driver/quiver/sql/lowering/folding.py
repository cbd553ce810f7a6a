"""Lambdas that fold or compare, as Python expressions over quiver_proto.spark_functions.folding. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quiver.sql import types as t
from quiver.sql.analysis.typing import type_of
from quiver.sql.errors import AnalysisException
from quiver.sql.registry.python import python
from quiver.sql.tree import expressions as e
from quiver_proto.spark_functions.folding import Folded

_BITS: dict[type[t.DataType], int] = {t.ByteType: 8, t.ShortType: 16, t.IntegerType: 32, t.LongType: 64}
_COMPARED = frozenset({"=", "<>", "<", "<=", ">", ">=", "<=>"})
_STRICT = {
    "abs": "abs", "upper": "str.upper", "lower": "str.lower", "length": "len", "size": "len", "cardinality": "len", "array_size": "len",
    "negative": "(lambda v: -v)", "not": "(lambda v: not v)", "sqrt": "math.sqrt", "pow": "math.pow", "power": "math.pow",
    "array_append": "(lambda v, x: [*v, x])", "signum": "(lambda v: math.copysign(1.0, v) if v else 0.0)",
}  # fmt: skip
FOLDING = frozenset({"aggregate", "reduce"})


def folded(call: e.Call, lowered: Callable[[e.Expression], str]) -> str:
    """`aggregate(array, start, merge[, finish])`, or `array_sort(array, comparator)`, in the kernel's SQL."""
    writer = _Writer()
    sources: tuple[str, ...]
    if call.name == "array_sort":
        sources = (writer.function(call.args[1]),)
        given = [call.args[0]]
    else:
        array, start, merge, *finish = call.args
        sources = (writer.function(merge), writer.function(finish[0]) if finish else "lambda c, a: a")
        given = [array, start]
    body = Folded("sort" if call.name == "array_sort" else "aggregate", sources, tuple(writer.constants))
    given += writer.captured
    kind = type_of(call)
    return python(body, lambda kinds: kind, nulls=True)([lowered(value) for value in given], [type_of(value) for value in given])


class _Writer:
    def __init__(self) -> None:
        self.constants: list[Any] = []
        self.captured: list[e.Expression] = []

    def function(self, expression: e.Expression) -> str:
        assert isinstance(expression, e.Lambda)
        names = {name: f"p{at}" for at, name in enumerate(expression.parameters)}
        return f"lambda c, {', '.join(names.values())}: {self._text(expression.body, names)}"

    def _text(self, node: e.Expression, names: dict[str, str]) -> str:
        def text(child: e.Expression) -> str:
            return self._text(child, names)

        match node:
            case e.Variable() if node.name in names:
                return names[node.name]
            case e.Literal():
                self.constants.append(node.value)
                return f"k[{len(self.constants) - 1}]"
            case e.Attribute() | e.OuterReference() | e.Variable():
                if node not in self.captured:
                    self.captured.append(node)
                return f"c[{self.captured.index(node)}]"
            case e.Alias():
                return text(node.child)
            case e.Cast():
                bits, scale = _shape(node.type)
                return f"converted({text(node.child)}, {node.type.simpleString()!r}, {bits}, {scale})"
            case e.Case():
                result = "None" if node.otherwise is None else text(node.otherwise)
                for when, then in reversed(node.branches):
                    result = f"({text(then)} if {text(when)} else {result})"
                return result
            case e.Member():
                return f"member({text(node.child)}, {node.name!r})"
            case e.StructOf():
                return f"{{{', '.join(f'{name!r}: {text(value)}' for name, value in zip(node.names, node.values, strict=True))}}}"
            case e.Call():
                return self._call(node, text)
            case _:
                raise _unsupported(type(node).__name__)

    def _call(self, call: e.Call, text: Callable[[e.Expression], str]) -> str:
        args = [text(argument) for argument in call.args]
        if call.name in ("+", "-", "*", "/", "%"):
            bits, scale = _shape(type_of(call))
            return f"arithmetic({call.name!r}, {', '.join(args)}, {bits}, {scale})"
        if call.name in _COMPARED:
            return f"compared({call.name!r}, {', '.join(args)})"
        if call.name in _STRICT:
            return f"strictly({_STRICT[call.name]}, {', '.join(args)})"
        match call.name:
            case "and" | "or":
                return f"{'both' if call.name == 'and' else 'either'}({', '.join(args)})"
            case "isnull":
                return f"({args[0]} is None)"
            case "isnotnull":
                return f"({args[0]} is not None)"
            case "coalesce" | "nvl" | "ifnull":
                return f"first_of({', '.join(args)})"
            case "greatest" | "least":
                return f"extreme({call.name == 'greatest'}, {', '.join(args)})"
            case "if":
                return f"({args[1]} if {args[0]} else {args[2]})"
            case "concat":
                return f"joined({', '.join(args)})"
            case "array":
                return f"[{', '.join(args)}]"
            case "getitem":
                return f"item({', '.join(args)})"
            case _:
                raise _unsupported(f"`{call.name}`")


def _shape(kind: t.DataType) -> tuple[int, int]:
    """(bits of an integer, scale of a decimal); 0 and -1 for others."""
    return _BITS.get(type(kind), 0), kind.scale if isinstance(kind, t.DecimalType) else -1


def _unsupported(what: str) -> AnalysisException:
    return AnalysisException(
        f"{what} is not offered in a function that folds or compares. Compute it before, with `transform`.", "UNSUPPORTED_FEATURE.FOLDING"
    )
