"""Calls of table functions of users, as relations: what their analyze() says, which rows they are given, and what runs over these.

f(1, x)              over one row, or beside each row of the left side of LATERAL: an instance for each partition of it
f(TABLE(t))          an instance for each partition of the table
… PARTITION BY k     one for each group, in order if that is asked for. As for applyInPandas, groups come together by a window's row
… WITH SINGLE …      number, which also tells where one begins; here rows flow, and no group is ever in memory as a whole
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quiver.callsite import capture
from quiver.closures import seal
from quiver.sql import types as t
from quiver.sql.analysis.analyser import Analyser
from quiver.sql.analysis.typing import type_of
from quiver.sql.analysis.volatile import any_volatile
from quiver.sql.errors import AnalysisException
from quiver.sql.frontend.expressions import parse_expression
from quiver.sql.python import faults
from quiver.sql.python.table_rows import Argument, TableRows
from quiver.sql.python.udtf_analysis import AnalyzeArgument, AnalyzeResult, OrderingColumn, PartitioningColumn, SelectedColumn
from quiver.sql.rows import values_of
from quiver.sql.tree import expressions as e
from quiver.sql.tree import relations as r
from quiver.sql.tree.walking import attributes_in, walk

if TYPE_CHECKING:
    from quiver.sql.python.table_functions import UserDefinedTableFunction

_METADATA = "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INCOMPATIBLE_WITH_CALL"
_FAILED = "TABLE_VALUED_FUNCTION_FAILED_TO_ANALYZE_IN_PYTHON"


@dataclass(frozen=True, slots=True)
class TableArgument:
    """A table that a function is called with. `single`: all its rows go to one instance; else those of equal `keys` do, if there are
    keys; in this `order`."""

    relation: r.Relation
    keys: tuple[e.Expression, ...] = ()
    order: tuple[e.SortKey, ...] = ()
    single: bool = False
    selected: tuple[e.Expression, ...] = ()


Given = e.Expression | TableArgument


def table_call(
    analyser: Analyser, function: UserDefinedTableFunction, given: Sequence[Given], names: Sequence[str | None],
    left: r.Relation | None = None, qualifier: str = "", aliases: Sequence[str] = (), keeps: bool = False,
) -> r.Relation:  # fmt: skip
    """The rows of a call; of a call beside `left`, on whose columns its arguments may depend, with its columns before them.

    `qualifier`, `aliases`: of the columns that it makes. `keeps`: rows of the left side for which it makes nothing have nulls.

    Raises AnalysisException for what analyze() raises, and for tables where none can be; UnpicklableClosure.
    """
    tables = [each for each in given if isinstance(each, TableArgument)]
    if len(tables) > 1:
        raise AnalysisException(
            f"There are too many table arguments for table-valued function. It allows one table argument, but got: {len(tables)}.",
            "TABLE_VALUED_FUNCTION_TOO_MANY_TABLE_ARGUMENTS",
        )
    if left is not None and function.is_arrow:
        raise AnalysisException(
            f"LATERAL JOIN with Arrow-optimized user-defined table functions is not supported: `{function._name}`. Use a regular one.",
            "LATERAL_JOIN_WITH_ARROW_UDTF_UNSUPPORTED",
        )
    columns = () if left is None else left.output
    resolved = [_of_table(analyser, each) if isinstance(each, TableArgument) else analyser.resolve(each, columns) for each in given]
    analyzed = _analyzed(analyser, function, resolved, names) if function._analyzes else None
    _check_eval(function, names)
    if analyzed is not None and tables:
        resolved = [_asked_for(analyser, each, analyzed, function._name) if isinstance(each, TableArgument) else each for each in resolved]
    given_rows = _rows(analyser, resolved, names, left)
    made = function.returnType if analyzed is None else analyzed.schema
    assert made is not None
    if aliases and len(aliases) != len(made):
        raise AnalysisException(
            "The number of aliases supplied in the AS clause does not match the number of columns output by the UDTF. Expected "
            f"{len(made)} aliases, but got {', '.join(aliases)}.",
            "UDTF_ALIAS_NUMBER_MISMATCH",
        )
    own = tuple(
        replace(column, name=name, nullable=True, qualifier=(qualifier,) if qualifier else ())
        for column, name in zip(r.columns_of(made, analyser.fresh), aliases or made.names, strict=True)
    )
    output = (*columns, *own)
    call = TableRows(
        function.func, function._name, r.schema_of(given_rows.child), len(columns), given_rows.arguments,
        t.StructType([t.StructField(column.name, column.type) for column in output]), given_rows.numbered,
        analyzed if _takes_analysis(function.func) else None, function.is_arrow, keeps,
    )  # fmt: skip
    return r.PythonMap(given_rows.child, seal(call, capture()), "rows", output, 0, "")


def _of_table(analyser: Analyser, table: TableArgument) -> TableArgument:
    """With keys and order that are analysed."""
    columns = table.relation.output
    keys = analyser.resolved(table.keys, columns)
    order = tuple(replace(key, child=analyser.resolve(key.child, columns)) for key in table.order)
    return replace(table, keys=keys, order=order)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a call's instances see: see TableRows."""

    child: r.Relation
    arguments: tuple[Argument, ...]
    numbered: bool


def _rows(analyser: Analyser, given: Sequence[Given], names: Sequence[str | None], left: r.Relation | None) -> _Given:
    from quiver.sql.frontend.sources import one_row

    table = next((each for each in given if isinstance(each, TableArgument)), None)
    child = table.relation if table is not None else left if left is not None else one_row()
    items: list[e.Expression] = [] if left is None else [_again(column, analyser) for column in left.output]
    arguments = []
    for value, name in zip(given, names, strict=True):
        first = len(items)
        if isinstance(value, TableArgument):
            shown = value.selected or child.output
            items += [_again(each, analyser) for each in shown]
        else:
            items.append(e.Alias(value, "argument", analyser.fresh()))
        arguments.append(Argument(name, tuple(range(first, len(items))), isinstance(value, TableArgument)))
    if not items:
        items.append(e.Alias(e.Literal(1, t.IntegerType()), "row", analyser.fresh()))
    if table is None or not (table.keys or table.single):
        return _Given(r.Project(child, tuple(items)), tuple(arguments), False)
    first = len(items)
    items += [e.Alias(key, "key", analyser.fresh()) for key in table.keys]
    items += [e.Alias(key.child, "order", analyser.fresh()) for key in table.order]
    below = r.Project(child, tuple(items))
    added = below.output[first:]
    order = tuple(replace(key, child=column) for key, column in zip(table.order, added[len(table.keys) :]))
    window = e.WindowSpec(added[: len(table.keys)], order)
    number = e.Alias(e.Windowed(e.Call("row_number"), window), "row", analyser.fresh())
    return _Given(r.Project(below, (*below.output[:first], number)), tuple(arguments), True)


def _again(expression: e.Expression, analyser: Analyser) -> e.Alias:
    """Under a number of its own: a column may come twice."""
    if isinstance(expression, e.Alias):
        return replace(expression, id=analyser.fresh())
    name = expression.name if isinstance(expression, e.Attribute) else "column"
    return e.Alias(expression, name, analyser.fresh())


def _check_eval(function: UserDefinedTableFunction, names: Sequence[str | None]) -> None:
    """Raises AnalysisException for arguments that `eval` does not take. `names`: of the arguments, None for those by place."""
    handler: Any = function.func
    found = inspect.getattr_static(handler, "eval", None)
    places = [None] * (sum(name is None for name in names) + (not isinstance(found, staticmethod | classmethod)))
    try:
        signature = inspect.signature(handler.eval)
    except (AttributeError, TypeError, ValueError):
        return  # What has no signature in Python tells in its own words.
    try:
        signature.bind(*places, **{name: None for name in names if name is not None})
    except TypeError as problem:
        raise AnalysisException(
            f"Failed to evaluate the user-defined table function '{function._name}' because the function arguments did not match the "
            f"expected signature of the 'eval' method ({problem}). Give it the arguments that `eval` takes, or let `eval` take these.",
            "UDTF_EVAL_METHOD_ARGUMENTS_DO_NOT_MATCH_SIGNATURE",
        ) from None


# ---- analyze() ----


def _takes_analysis(handler: Any) -> bool:
    """Whether instances are made of what analyze() gave."""
    if not hasattr(handler, "analyze") or ("__init__" not in vars(handler) and handler.__init__ is object.__init__):
        return False
    return len(inspect.signature(handler.__init__).parameters) == 2


def _analyzed(analyser: Analyser, function: UserDefinedTableFunction, given: Sequence[Given], names: Sequence[str | None]) -> AnalyzeResult:
    arguments = [_described(analyser, each) for each in given]
    args = [argument for argument, name in zip(arguments, names) if name is None]
    named = {name: argument for argument, name in zip(arguments, names) if name is not None}
    analyze: Any = function.func.analyze  # type: ignore[attr-defined]
    prefix = f"Failed to evaluate the user-defined table function '{function._name}' because"
    try:
        inspect.signature(analyze).bind(*args, **named)
    except TypeError as problem:
        raise AnalysisException(
            f"{prefix} the function arguments did not match the expected signature of the static 'analyze' method ({problem}).", _FAILED
        ) from None
    try:
        result = analyze(*args, **named)
    except faults.RAISED as error:
        raise AnalysisException(
            f"Failed to analyze the Python user defined table function: {faults.user_traceback(error)}", _FAILED
        ) from error
    wrong = _problem(result, any(argument.isTable for argument in arguments))
    if wrong:
        raise AnalysisException(f"{prefix} the static 'analyze' method {wrong}.", _FAILED)
    assert isinstance(result, AnalyzeResult)
    return result


def _problem(result: Any, has_table: bool) -> str:
    """What is wrong with what analyze() gave; empty: nothing."""
    if not isinstance(result, AnalyzeResult):
        return f"is to give an AnalyzeResult, and gave a value of type {type(result).__name__}"
    if not isinstance(result.schema, t.StructType):
        return f"is to give a 'schema' that is a StructType, and gave one of type {type(result.schema).__name__}"
    for field, kind in (("partitionBy", PartitioningColumn), ("orderBy", OrderingColumn), ("select", SelectedColumn)):
        value = getattr(result, field)
        if not isinstance(value, list | tuple) or not all(isinstance(each, kind) for each in value):
            return f"gave a '{field}' that is no list or tuple of '{kind.__name__}' objects"
    if not has_table and (result.withSinglePartition or result.partitionBy):
        field = "withSinglePartition" if result.withSinglePartition else "partitionBy"
        return f"gave '{field}', but the function call did not provide any table argument"
    return ""


def _described(analyser: Analyser, given: Given) -> AnalyzeArgument:
    if isinstance(given, TableArgument):
        return AnalyzeArgument(r.schema_of(given.relation), None, True, False)
    kind = type_of(given)
    if any(attributes_in(given)) or any_volatile([given]) or any(isinstance(part, e.ScalarSubquery) for part in walk(given)):
        return AnalyzeArgument(kind, None, False, False)
    return AnalyzeArgument(kind, _constant(given, analyser), False, True)


def _constant(expression: e.Expression, analyser: Analyser) -> Any:
    """What the kernel makes of an expression of constants."""
    from quiver.sql.frontend.sources import one_row
    from quiver.sql.kernel import session
    from quiver.sql.kernel_errors import spark_errors
    from quiver.sql.lowering.relations import lower
    from quiver.sql.registry.python import prepare

    relation = r.Project(one_row(), (e.Alias(expression, "value", analyser.fresh()),))
    query = lower(relation)
    context = session(1)
    with spark_errors(relation):
        for name, leaf in query.leaves.items():
            assert isinstance(leaf, r.Local)
            context.register_record_batches(name, [leaf.table.to_batches()])
        prepare(context, query.text)
        found = context.sql(query.text).to_arrow_table()
    return values_of(found.column(0), type_of(expression))[0]


def _asked_for(analyser: Analyser, table: TableArgument, result: AnalyzeResult, name: str) -> TableArgument:
    """The table, as analyze() wants it."""
    asked = "WITH SINGLE PARTITION" if result.withSinglePartition else "PARTITION BY" if result.partitionBy else ""
    if asked and (table.single or table.keys):
        raise AnalysisException(
            f"Failed to evaluate the table function {name} because its table metadata specified its own required partitioning of the "
            "input table, but the function call specified the WITH SINGLE PARTITION or PARTITION BY clause; please remove these clauses "
            "and retry the query again.",
            _METADATA,
        )
    if result.withSinglePartition and result.partitionBy:
        raise AnalysisException(
            f"Failed to evaluate the table function {name} because its analyze() asked both for a single partition and for 'partitionBy'.",
            "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INVALID",
        )
    if result.orderBy and not (asked or table.single or table.keys):
        raise AnalysisException(
            f"Failed to evaluate the table function {name} because its analyze() gave 'orderBy' without 'partitionBy' or "
            "a single partition.",
            "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INVALID",
        )
    columns = table.relation.output
    keys = tuple(parse_expression(column.name) for column in result.partitionBy)
    order = tuple(e.SortKey(parse_expression(each.name), each.ascending, each.overrideNullsFirst) for each in result.orderBy)
    asked_table = TableArgument(table.relation, keys or table.keys, order or table.order, table.single or result.withSinglePartition)
    selected = tuple(_selected(analyser.resolve(parse_expression(each.name), columns), each) for each in result.select)
    return replace(_of_table(analyser, asked_table), selected=selected)


def _selected(expression: e.Expression, column: SelectedColumn) -> e.Expression:
    if column.alias:
        return e.Alias(expression, column.alias)
    if not isinstance(expression, e.Attribute):
        raise AnalysisException(
            f"The analyze() of a table function selects the expression {column.name!r}, which is no column: give it an alias.",
            "TABLE_VALUED_FUNCTION_REQUIRED_METADATA_INVALID",
        )
    return expression
