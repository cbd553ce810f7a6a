"""What the kernel says when a value can't be computed, as Spark's errors.

The kernel says what is wrong with which value, and not where. What the query computes narrows it down: a number that leaves its type was
cast, if the query casts to that type, and else added or multiplied. Where only one of its expressions can be meant, the error names it.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Context, Decimal
from typing import Any

from quiver.sql import errors
from quiver.sql import types as t
from quiver.sql.analysis.pretty import pretty
from quiver.sql.analysis.typing import type_of
from quiver.sql.error_kinds import made_spark
from quiver.sql.nesting import TooDeep
from quiver.sql.registry.division import computed_scale
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver_proto.errors import DatabaseFailed, FileUnreadable, QuiverError, ValueRefused
from quiver_proto.kernel_faults import PANICKED
from quiver_proto.ops import CallSite

_RAISED = re.compile(
    r"(?:Cannot cast (?:string|value)|Error parsing timestamp from) '\[([A-Z][A-Z0-9_.]{3,})\] ?(.*?)'(?: to value of|:)", re.DOTALL
)
"""By a cast that can't succeed, which lowering put there."""
_KEYS = re.compile(r"Execution error: \[(DUPLICATED_MAP_KEY)\] (Duplicate map key (.*?) was found, please check the input data)", re.DOTALL)
_NULL_KEY = 'Found unmasked nulls for non-nullable StructArray field "key"'
_PRODUCT = re.compile(r"Overflow happened on: (-?\d+) \* (-?\d+)")
_PYTHON = re.compile(r"value: \w+\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
"""The text with which one of our own functions failed, as Python's repr."""
_CONDITION = re.compile(r"\[([A-Z_][A-Z0-9_]{3,}(?:\.[A-Z0-9_]+)?)\] ?(.*)", re.DOTALL)
_TEXT = re.compile(r"Cannot cast (?:string|value) '(.*?)' to value of (\w+)(?:\([^)]*\))? type", re.DOTALL)
_TIME = re.compile(r"Error parsing timestamp from '(.*?)'", re.DOTALL)
_NUMBER = re.compile(r"Can't cast value (\S+) to type (\w+)|(?:value|Value) (?:of )?(\S+) is out of range (\w+)")
_DECIMAL = re.compile(r"(\S+) is too (?:large|small) to store in a Decimal\d+ of precision (\d+)")
_UNREPRESENTED = re.compile(r"The value (\S+) cannot be represented as Decimal\((\d+), \d+\)")
_DIGITS = re.compile(r"Decimal\d+\((\d+), (-?\d+)\)\. Overflowing on (-?[\d.]+(?:e[-+]?\d+)?)?")
_CANT = re.compile(
    r"(DataFusion error: |Optimizer rule .*? failed\n?caused by\n?)*"
    r"(This feature is not implemented|Error during planning|Internal error|SQL error)"
)
"""Of a query, before it runs."""
_TOO_DEEP = re.compile(r"failed to decode Protobuf message.*recursion limit", re.DOTALL)
_OVERFLOW = re.compile(r"Overflow happened on: [^\n]*|\w+ overflow on [^\n]*|[Aa]rithmetic overflow|DecimalOverflow")
_KINDS: dict[str, type[t.DataType]] = {
    "Int8": t.ByteType, "Int16": t.ShortType, "Int32": t.IntegerType, "Int64": t.LongType, "Float32": t.FloatType, "Float64": t.DoubleType,
    "Boolean": t.BooleanType, "Date32": t.DateType, "Timestamp": t.TimestampType, "Decimal128": t.DecimalType, "Utf8": t.StringType,
}  # fmt: skip
_CLASSES: tuple[tuple[str, type[errors.PySparkException]], ...] = (
    ("DIVIDE_BY_ZERO", errors.ArithmeticException),
    ("REMAINDER_BY_ZERO", errors.ArithmeticException),
    ("ARITHMETIC_OVERFLOW", errors.ArithmeticException),
    ("BINARY_ARITHMETIC_OVERFLOW", errors.ArithmeticException),
    ("CAST_OVERFLOW", errors.ArithmeticException),
    ("NUMERIC_VALUE_OUT_OF_RANGE", errors.ArithmeticException),
    ("DATETIME_OVERFLOW", errors.ArithmeticException),
    ("CANNOT_PARSE_TIME", errors.DateTimeException),
    ("INVALID_TIMEZONE", errors.DateTimeException),
    ("CAST_INVALID_INPUT", errors.NumberFormatException),
    ("INVALID_ARRAY_INDEX", errors.ArrayIndexOutOfBoundsException),
    ("CANNOT_PARSE_TIMESTAMP", errors.DateTimeException),
    ("DATETIME_FIELD_OUT_OF_BOUNDS", errors.DateTimeException),
    ("INVALID_PARAMETER_VALUE", errors.IllegalArgumentException),
    ("INVALID_FORMAT", errors.IllegalArgumentException),
    ("INVALID_URL", errors.IllegalArgumentException),
    ("ILLEGAL_SEQUENCE_BOUNDARIES", errors.IllegalArgumentException),
    ("INTERVAL_DIVIDED_BY_ZERO", errors.ArithmeticException),
    ("INTERVAL_ARITHMETIC_OVERFLOW", errors.ArithmeticException),
)
_NO_DATE = re.compile(
    r"Timestamp out of range|date value out of range|year -?\d+ is out of range|year must be in 1\.\.9999"
    r"|days=-?\d+; must have magnitude|signed integer is (?:greater|less) than"
)
"""What Python says of dates and times outside its years."""
_DIVISIONS = frozenset({"/", "div"})
_SCALED = frozenset({"*", "/"})
_REMAINDERS = frozenset({"%", "mod", "pmod"})
_ALTERNATIVES = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "sum": "try_sum", "avg": "try_avg"}
_ARITHMETIC = frozenset({*_ALTERNATIVES, "negative", "abs", "sum_distinct", "factorial", "pow"})
_SUFFIXES: dict[type[t.DataType], str] = {t.LongType: "L", t.DoubleType: "D", t.FloatType: "F", t.ShortType: "S", t.ByteType: "T"}
_EXACT = Context(prec=100)
_ANSI = '"spark.sql.ansi.enabled"'


def translated(
    error: BaseException, relation: r.Relation | None = None, call_site: CallSite | None = None
) -> errors.PySparkException | None:
    """The error that Spark raises for what the kernel's says; None for those that say nothing of values.

    `relation` is what was computed, for the action at `call_site`.
    """
    if isinstance(error, DatabaseFailed):
        return errors.SparkRuntimeException(error.message.removeprefix("[FAILED_JDBC] "), "FAILED_JDBC")
    if isinstance(error, FileUnreadable):
        return errors.SparkRuntimeException(f"Encountered error while reading file {error.path}. {error.problem}", error.condition)
    return _Translation(relation, call_site).of(error.problem if isinstance(error, ValueRefused) else str(error))


class _Translation:
    def __init__(self, relation: r.Relation | None, call_site: CallSite | None) -> None:
        self._expressions = [] if relation is None else _expressions(relation)
        self._call_site = "" if call_site is None else f"{call_site.operator} at {call_site.file}:{call_site.line}"

    def of(self, text: str) -> errors.PySparkException | None:
        found = _CONDITION.fullmatch(text) or _RAISED.search(text)
        if found:
            return self._told(found[1], found[2])
        if re.search(r"Value -?\d+ too large to fit in C integer|Python int too large|int too big to convert", text):
            return self._made("ARITHMETIC_OVERFLOW", "A number leaves the range of its type. Use a wider type.", None)
        if _NO_DATE.search(text):
            return self._made(
                "DATETIME_OVERFLOW", "A date or time leaves the years 1 to 9999, which are those of Python. Cast it to string.", None
            )
        if PANICKED in text:
            return errors.SparkRuntimeException(f"{text} Please report this, with the query.", "INTERNAL_ERROR", {"message": text})
        if "PyErr" in text:
            python = _PYTHON.search(text)
            found = _CONDITION.match(_literal(python[1])) if python else None
            return None if found is None else self._told(found[1], found[2].strip())
        found = _KEYS.search(text)
        if _NULL_KEY in text or (found and found[3] == "NULL"):
            return self._made("NULL_MAP_KEY", "Cannot use null as map key.", {})
        if found:
            return self._made(found[1], f"{found[2]}: every key of a map stands once.", {"key": found[3]})
        if "Divide by zero" in text:
            is_remainder = bool(self._calls(_REMAINDERS)) and not self._calls(_DIVISIONS)
            return self._told("REMAINDER_BY_ZERO" if is_remainder else "DIVIDE_BY_ZERO", "")
        if "Scalar subquery returned more than one row" in text:
            text = "More than one row returned by a subquery used as an expression."
            return errors.SparkRuntimeException(text, "SCALAR_SUBQUERY_TOO_MANY_ROWS", {})
        found = _TEXT.search(text)
        if found:
            return self._invalid(found[1], found[2])
        found = _TIME.search(text)
        if found:
            return self._invalid(found[1], "Timestamp")
        found = _NUMBER.search(text)
        if found:
            return self._too_large(found[1] or found[3], found[2] or found[4])
        found = _DECIMAL.search(text)
        if found:
            return self._no_decimal(found[1], found[2])
        found = _DIGITS.search(text)
        if found:
            return self._no_decimal(found[3] or "A value", found[1], found[2])
        found = _PRODUCT.search(text)
        if found and len(kinds := self._decimal_kinds("*")) == 1:
            (kind,) = kinds
            value = Decimal(int(found[1]) * int(found[2])).scaleb(-kind.scale, _EXACT)
            return self._no_decimal(format(value, "f"), str(kind.precision), str(kind.scale))
        return self._overflow() if _OVERFLOW.search(text) else None

    def _decimal_kinds(self, operator: str) -> set[t.DecimalType]:
        """The types of all decimals that are computed so; empty: of other numbers, too."""
        kinds = [type_of(call) for call in self._calls(frozenset((operator,)))]
        return (
            {kind for kind in kinds if isinstance(kind, t.DecimalType)} if all(isinstance(kind, t.DecimalType) for kind in kinds) else set()
        )

    def _told(self, condition: str, message: str) -> errors.PySparkException:
        match condition:
            case "DIVIDE_BY_ZERO":
                text = "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead."
                return self._made(condition, text, {"config": _ANSI}, self._calls(_DIVISIONS))
            case "INTERVAL_DIVIDED_BY_ZERO":
                text = "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead."
                return self._made(condition, text, {})
            case "REMAINDER_BY_ZERO":
                text = "Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead."
                return self._made(condition, text, {"config": _ANSI}, self._calls(_REMAINDERS))
            case "ARITHMETIC_OVERFLOW" if re.fullmatch(r"-?[\d.]+", message):
                return self._overflow()
            case "INVALID_ARRAY_INDEX" | "INVALID_ARRAY_INDEX_IN_ELEMENT_AT":
                numbers = re.findall(r"-?\d+", message)
                instead = "the SQL function `get()`" if condition == "INVALID_ARRAY_INDEX" else "`try_element_at`"
                text = (
                    f"The index {numbers[0]} is out of bounds. The array has {numbers[1]} elements. Use {instead} to tolerate accessing "
                    "element at invalid index and return NULL instead."
                )
                return self._made(condition, text, {"indexValue": numbers[0], "arraySize": numbers[1]})
            case "CAST_INVALID_INPUT":
                found = re.search(r"The value '(.*)' of the type \"(\w+)\" cannot be cast to \"(.*?)\"", message, re.DOTALL)
                if found:
                    return self._malformed(found[1], found[3], ())
            case "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION" if found := _UNREPRESENTED.search(message):
                return self._no_decimal(found[1], found[2])
            case "USER_RAISED_EXCEPTION":
                return self._made(condition, message, {"errorMessage": message})
        return self._made(condition, message, None)

    def _invalid(self, value: str, kernel_kind: str) -> errors.PySparkException:
        casts = self._casts(_KINDS.get(kernel_kind), lambda source: isinstance(source, t.StringType))
        names = {cast.type.simpleString().upper() for cast in casts}
        kind = _KINDS.get(kernel_kind)
        name = names.pop() if len(names) == 1 else kernel_kind.upper() if kind is None else _name_of(kind)
        return self._malformed(value, name, casts)

    def _malformed(self, value: str, target: str, casts: Sequence[e.Expression]) -> errors.PySparkException:
        text = (
            f'The value \'{value}\' of the type "STRING" cannot be cast to "{target}" because it is malformed. Correct the value as per '
            "the syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead."
        )
        parameters = {"expression": f"'{value}'", "sourceType": '"STRING"', "targetType": f'"{target}"', "ansiConfig": _ANSI}
        kind: type[errors.PySparkException] = errors.NumberFormatException
        if target.startswith(("DATE", "TIME", "INTERVAL")):
            kind = errors.DateTimeException
        elif target == "BOOLEAN":
            kind = errors.SparkRuntimeException
        return kind(text, "CAST_INVALID_INPUT", parameters, self._contexts(casts))

    def _too_large(self, value: str, kernel_kind: str) -> errors.PySparkException:
        target = _KINDS.get(kernel_kind)
        casts = self._casts(target, lambda source: isinstance(source, t.NumericType | t.TimestampType))
        if target is None or self._computes(target):
            return self._overflow(value if target is None else "")
        sources = {type_of(cast.child).simpleString().upper(): type(type_of(cast.child)) for cast in casts}
        source, kind = next(iter(sources.items())) if len(sources) == 1 else ("NUMERIC", t.DataType)
        shown = f"{_as_java(value, kind)}{_SUFFIXES.get(kind, '')}"
        name = _name_of(target)
        text = (
            f'The value {shown} of the type "{source}" cannot be cast to "{name}" due to an overflow. Use `try_cast` to tolerate overflow '
            "and return NULL instead."
        )
        parameters = {"value": shown, "sourceType": f'"{source}"', "targetType": f'"{name}"', "ansiConfig": _ANSI}
        return self._made("CAST_OVERFLOW", text, parameters, casts)

    def _no_decimal(self, value: str, precision: str, told: str = "") -> errors.PySparkException:
        """`told`: the scale, where the kernel says it. Then the value is that of the cast: of a decimal, its digits only."""
        casts = self._casts(t.DecimalType, lambda source: isinstance(source, t.NumericType | t.StringType))
        computed = [call for call in self._calls(_ARITHMETIC) if isinstance(type_of(call), t.DecimalType)]
        if told:
            casts = [cast for cast in casts if cast.type == t.DecimalType(int(precision), int(told))]
        made = [type_of(found) for found in (*computed, *casts)]
        kinds = {(kind.precision, kind.scale) for kind in made if isinstance(kind, t.DecimalType)}
        scales = {str(scale) for digits, scale in kinds if str(digits) == precision}
        scale = told or (scales.pop() if len(scales) == 1 else str(len(value.partition(".")[2])))
        if "e" in value:
            value = format(Decimal(value), "f")
        elif told and value.lstrip("-").isdigit() and len(scaled := self._computed_scales(int(precision), int(told))) == 1:
            value = format(Decimal(value).scaleb(-scaled.pop(), _EXACT), "f")
        elif told and value.lstrip("-").isdigit() and not casts:
            # Means are computed with one digit more.
            digits = int(told) + all(call.name in ("avg", "try_avg") for call in computed)
            value = format(Decimal(value).scaleb(-digits, _EXACT), "f")
        shown = value.rstrip("0").rstrip(".") if "." in value else value
        ways = {"cast" if casts else "", *(_ALTERNATIVES.get(call.name, "") for call in computed)} - {""}
        instead = ways.pop().removeprefix("try_") if len(ways) == 1 else "cast"
        text = f"{shown} cannot be represented as Decimal({precision}, {scale}). Use `try_{instead}` to return NULL instead."
        parameters = {"value": shown, "precision": precision, "scale": scale, "config": _ANSI}
        return self._made("NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", text, parameters, [*computed, *casts])

    def _computed_scales(self, precision: int, scale: int) -> set[int]:
        """With how many digits of the fraction products and quotients of a type are computed, where more are than it has."""
        found = set()
        for call in self._calls(_SCALED):
            kinds = [type_of(argument) for argument in call.args]
            decimals = [kind for kind in kinds if isinstance(kind, t.DecimalType)]
            if type_of(call) == t.DecimalType(precision, scale) and len(decimals) == len(kinds):
                found.add(computed_scale(call.name, *decimals))
        return found

    def _overflow(self, value: str = "") -> errors.PySparkException:
        calls = self._calls(_ARITHMETIC)
        instead = {_ALTERNATIVES.get(call.name, "") for call in calls} or {""}
        what = f"overflow of {value}" if value else "overflow"
        alternative = ""
        if instead == {""}:
            alternative = " Use a wider type."
        elif len(instead) == 1:
            alternative = f" Use '{instead.pop()}' to tolerate overflow and return NULL instead."
        else:
            alternative = " Use `try_` functions, such as 'try_add', to tolerate overflow and return NULL instead."
        parameters = {"message": what, "alternative": alternative, "config": _ANSI}
        return self._made("ARITHMETIC_OVERFLOW", f"{what}.{alternative}", parameters, calls)

    def _made(
        self, condition: str, message: str, parameters: dict[str, str] | None, meant: Sequence[e.Expression] = ()
    ) -> errors.PySparkException:
        kind = next((kind for start, kind in _CLASSES if condition.startswith(start)), errors.SparkRuntimeException)
        return kind(message, condition, parameters, self._contexts(meant))

    def _contexts(self, meant: Sequence[e.Expression]) -> list[tuple[str, str]]:
        """The expression that is meant, if only one can be, and the user's line."""
        shown = {_shown(expression) for expression in meant}
        fragment = shown.pop() if len(shown) == 1 else ""
        return [(fragment, self._call_site)] if self._call_site else []

    # ---- what the query computes ----

    def _calls(self, names: frozenset[str]) -> list[e.Call]:
        return [found for found in self._expressions if isinstance(found, e.Call) and found.name in names]

    def _casts(self, target: type[t.DataType] | None, of: Callable[[t.DataType], bool]) -> list[e.Cast]:
        casts = [found for found in self._expressions if isinstance(found, e.Cast) and not found.lenient]
        return [cast for cast in casts if target is not None and isinstance(cast.type, target) and of(type_of(cast.child))]

    def _computes(self, kind: type[t.DataType]) -> bool:
        """Is there arithmetic that gives this type? Then a number that leaves it may be its result."""
        return any(isinstance(type_of(call), kind) for call in self._calls(_ARITHMETIC))


def _expressions(relation: r.Relation) -> list[e.Expression]:
    """All expressions of a relation and of its inputs."""
    found: list[e.Expression] = []
    pending: list[Any] = [relation]
    while pending:
        top = pending.pop()
        if isinstance(top, tuple | list):
            pending.extend(top)
            continue
        if isinstance(top, e.Expression):
            found.append(top)
        elif not isinstance(top, r.Relation):
            continue
        if is_dataclass(top):
            pending.extend(getattr(top, field.name) for field in fields(top))
    return found


def _shown(expression: e.Expression) -> str:
    try:
        return pretty(_as_written(expression))
    except Exception:  # An expression that has no name in Spark is none that users know.
        return ""


def _as_written(expression: e.Expression) -> e.Expression:
    """Operands without their casts: which of them the analyser has put there is not known any more."""
    if not isinstance(expression, e.Call):
        return expression
    return replace(expression, args=tuple(_as_written(arg.child if isinstance(arg, e.Cast) else arg) for arg in expression.args))


def _name_of(kind: type[t.DataType]) -> str:
    return "DECIMAL" if kind is t.DecimalType else kind().simpleString().upper()


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text[1:-1]


def _as_java(value: str, kind: type[t.DataType]) -> str:
    """A double as Java writes it: 1.0E10."""
    if kind not in (t.DoubleType, t.FloatType):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if number != number or number in (float("inf"), float("-inf")):
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(number), "NaN")
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    mantissa, exponent = f"{number:e}".split("e")
    digits = repr(number).replace(".", "").replace("-", "").partition("e")[0].strip("0") or "0"
    sign = "-" if mantissa.startswith("-") else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{int(exponent)}"


@contextlib.contextmanager
def spark_errors(relation: r.Relation | None = None, call_site: CallSite | None = None) -> Iterator[None]:
    """Inside, what the kernel says of values is raised as Spark's errors, and errors of jobs are PySparkExceptions too.

    `relation` and `call_site`: see `translated`.
    """
    try:
        yield
    except Exception as error:
        known = isinstance(error, errors.PySparkException)
        refused = error.__cause__ if known else error
        # One that a task's failure was made of knows nothing of the query.
        meant = translated(refused, relation, call_site) if isinstance(refused, ValueRefused) or (not known and refused) else None
        if meant is None and not known and _TOO_DEEP.search(str(error)):
            meant = TooDeep()
        if meant is None and not known and _CANT.match(str(error)):
            meant = errors.UnsupportedOperationException(f"The kernel can't compute this query: {error}", "UNSUPPORTED_FEATURE")
        if meant is None:
            if isinstance(error, QuiverError):
                made_spark(error)
            raise
        for note in getattr(error, "__notes__", ()):
            meant.add_note(note)
        raise meant from error
