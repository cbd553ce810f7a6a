"""Relations. A DataFrame holds an analysed one: every expression in it is resolved, and `output` tells its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quiver.sql.errors import checked_name
from quiver.sql.nesting import with_room
from quiver.sql.tree.expressions import Alias, Attribute, Expression, SortKey
from quiver.sql.types import StructField, StructType


class Relation:
    """Base of all relations. Frozen. `output`: the columns, in order."""

    __slots__ = ("__weakref__", "_output")
    _output: tuple[Attribute, ...]

    @property
    def output(self) -> tuple[Attribute, ...]:
        # Worked out once: of a relation over others it takes what their columns are, and so on down.
        try:
            return self._output
        except AttributeError:
            found = with_room(self._columns)
            object.__setattr__(self, "_output", found)
            return found

    def _columns(self) -> tuple[Attribute, ...]:
        """What `output` gives."""
        raise AssertionError(type(self))

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return ()


def schema_of(relation: Relation) -> StructType:
    """The columns, by the names that users see."""
    return StructType([StructField(c.name, c.type, c.nullable, dict(c.metadata)) for c in relation.output])


def columns_of(schema: StructType, new_id: Callable[[], int]) -> tuple[Attribute, ...]:
    """New columns by the fields of a schema. Raises AnalysisException INVALID_IDENTIFIER."""
    return tuple(
        Attribute(new_id(), checked_name(field.name), field.dataType, field.nullable, (), tuple(field.metadata.items()))
        for field in schema.fields
    )


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file: its path or URL, bytes, when it was changed (seconds since 1970), and its values of the partition columns."""

    path: str
    size: int
    modified: float = 0.0
    values: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Files(Relation):
    """Files of one format, read with Spark's options. `paths` as given; `schema` what they hold, partition columns last.

    `verified`: paths of the files whose columns were seen to be `schema`'s.
    """

    format: str
    paths: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    schema: StructType
    columns: tuple[Attribute, ...]
    partition_columns: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()
    verified: frozenset[str] = frozenset()
    hidden: tuple[str, ...] = ()
    """The last of `columns`: those of analysis/file_columns.py that are asked for."""
    zone: str = "UTC"
    """Of the partition columns that are timestamps."""

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Sourced(Relation):
    """Rows that Python reads in tasks: `reader` (quiver_proto.sources.reading.Reader) makes them of `parts`, one part a partition.

    `reader` and the parts are pickled. For files, a part is a list of Pieces, and `partition_columns` are told by their directories.
    `size` is about how many bytes they are; None: who knows. `zone`: of partition columns that are timestamps. `push`, when there
    is one, makes a reader and parts of the columns and conditions that a query has, which does less.
    """

    format: str
    reader: Any
    parts: tuple[Any, ...]
    columns: tuple[Attribute, ...]
    size: int | None = None
    partition_columns: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    files: tuple[DataFile, ...] = ()
    zone: str = "UTC"
    push: Any = None
    hidden: tuple[str, ...] = ()
    """The last of `columns`: those of analysis/file_columns.py that are asked for."""

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Local(Relation):
    """Rows that the driver has, as a pyarrow.Table whose columns are `columns` in order."""

    table: Any
    columns: tuple[Attribute, ...]

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Produced(Relation):
    """Rows that an RDD of pyarrow.RecordBatches has, whose columns are `columns` by place, of their Arrow types.

    `size` is about how many bytes they are; None: who knows.
    """

    rdd: Any
    columns: tuple[Attribute, ...]
    size: int | None = None

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Span(Relation):
    """Integers from `start` to `end` by `step`."""

    start: int
    end: int
    step: int
    columns: tuple[Attribute, ...]
    partitions: int | None = None

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Relation):
    child: Relation

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.child,)

    def _columns(self) -> tuple[Attribute, ...]:
        return self.child.output


@dataclass(frozen=True, slots=True, eq=False)
class Project(Unary):
    """`expressions` are Attributes and Aliases once analysed. `left_out`: keys of a join by names that can be asked for all the same."""

    expressions: tuple[Expression, ...]
    left_out: tuple[Attribute, ...] = ()

    def _columns(self) -> tuple[Attribute, ...]:
        return named_output(self.expressions)


@dataclass(frozen=True, slots=True, eq=False)
class Filter(Unary):
    condition: Expression


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Unary):
    """Groups of equal `keys`; `outputs` are expressions of keys and aggregates. `sets`: grouping sets, as positions in `keys`."""

    keys: tuple[Expression, ...]
    outputs: tuple[Expression, ...]
    sets: tuple[tuple[int, ...], ...] | None = None

    def _columns(self) -> tuple[Attribute, ...]:
        from dataclasses import replace

        columns = named_output(self.outputs)
        # A key is null where a set leaves it out.
        return columns if self.sets is None else tuple(replace(column, nullable=True) for column in columns)


@dataclass(frozen=True, slots=True, eq=False)
class Sort(Unary):
    """`globally`, or within partitions."""

    keys: tuple[SortKey, ...]
    globally: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Limit(Unary):
    count: int | None
    offset: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Deduplicate(Unary):
    """One row per distinct value of `keys` (None: of all columns)."""

    keys: tuple[Attribute, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Aliased(Unary):
    """The same rows, whose columns can be named by `name`."""

    name: str
    columns: tuple[Attribute, ...]

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Join(Relation):
    """`kind`: inner, cross, left, right, full, semi, anti. `hint`: broadcast of one side ("left", "right") or None."""

    left: Relation
    right: Relation
    kind: str
    condition: Expression | None
    hint: str | None = None

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.left, self.right)

    def _columns(self) -> tuple[Attribute, ...]:
        from dataclasses import replace

        left, right = self.left.output, self.right.output
        if self.kind in ("semi", "anti"):
            return left
        if self.kind in ("right", "full"):
            left = tuple(column if column.nullable else replace(column, nullable=True) for column in left)
        if self.kind in ("left", "full"):
            right = tuple(column if column.nullable else replace(column, nullable=True) for column in right)
        return (*left, *right)


@dataclass(frozen=True, slots=True, eq=False)
class Union(Relation):
    """All rows of all branches; `columns` are the result's."""

    branches: tuple[Relation, ...]
    columns: tuple[Attribute, ...]

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return self.branches

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class SetOperation(Relation):
    """`kind`: intersect or except; `all`: counting how often a row is there."""

    kind: str
    all: bool
    left: Relation
    right: Relation

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.left, self.right)

    def _columns(self) -> tuple[Attribute, ...]:
        return self.left.output


@dataclass(frozen=True, slots=True, eq=False)
class Generate(Unary):
    """For each row, the rows that `generator` (explode, inline, stack …) makes of it. `outer`: one of nulls where it makes none."""

    generator: Expression
    outer: bool
    columns: tuple[Attribute, ...]

    def _columns(self) -> tuple[Attribute, ...]:
        return (*self.child.output, *self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Round(Relation):
    """In the step of a Recursive: the rows of the round before."""

    columns: tuple[Attribute, ...]

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Recursive(Relation):
    """The rows of `anchor`, of `step` over these, of `step` over those, and so on until there are none: `rows` computes them, as a
    pyarrow.Table."""

    name: str
    anchor: Relation
    step: Relation
    before: Round
    columns: tuple[Attribute, ...]
    rows: Any

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.anchor, self.step)

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Sample(Unary):
    """Rows whose lot, from 0 to 1, is at least `lower` and below that plus `fraction`; with replacement, `fraction` copies on average.

    Lots are Spark's random numbers of the seed and the row's partition; `by_value`: drawn from what the row holds, wherever it is.
    """

    fraction: float
    with_replacement: bool
    seed: int
    lower: float = 0.0
    by_value: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Repartition(Unary):
    """`count` partitions (None: the session's), by hash of `keys`, `by_range`, round robin without keys, or by putting some together.
    `by_number`: the one key, an int, says which."""

    count: int | None
    keys: tuple[Expression, ...] = ()
    by_range: bool = False
    coalesce: bool = False
    by_number: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Hint(Unary):
    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Observe(Hint):
    """Rows whose `metrics` (aggregates) are told to `observation` when a query has run. Changes no rows."""

    metrics: tuple[Expression, ...] = ()
    observation: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class PythonMap(Unary):
    """A user's function of an iterator of the batches of a partition. `function`: sealed (ops.Function). `kind`: pandas or arrow; rows:
    it takes and gives batches as they are (python.table_rows.TableRows).

    `rows`: of a batch at most; `zone`: in which pandas has instants.
    """

    function: Any
    kind: str
    columns: tuple[Attribute, ...]
    rows: int
    zone: str

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False)
class GroupedMap(Relation):
    """A user's function of each group of equal `keys`, of one child or of two (cogroup). `function`, `kind`, `rows`, `zone`: as PythonMap.

    `with_key`: it is given the key first. `as_iterator`: it is given an iterator of the group's batches.
    """

    children: tuple[Relation, ...]
    keys: tuple[tuple[Expression, ...], ...]
    function: Any
    kind: str
    columns: tuple[Attribute, ...]
    rows: int
    zone: str
    with_key: bool
    as_iterator: bool

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return self.children

    def _columns(self) -> tuple[Attribute, ...]:
        return self.columns


def named_output(expressions: tuple[Expression, ...]) -> tuple[Attribute, ...]:
    """The attributes that analysed Attributes and Aliases give."""
    from quiver.sql.analysis.typing import nullable, type_of

    return tuple(
        expression
        if isinstance(expression, Attribute)
        else Attribute(expression.id, expression.name, type_of(expression.child), nullable(expression.child), (), expression.metadata)
        for expression in expressions
        if isinstance(expression, Attribute | Alias)
    )
