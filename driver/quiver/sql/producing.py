"""The bridge between relations of the kernel and RDDs of Arrow batches.

Relation → RDD: the stages of a cut plan become lineage. Each exchange is a Shuffle whose map side is a fragment, and what is above the
last exchange is a dataset (lineage.Fragmented) whose records are Arrow batches: persisted, checkpointed, mapped and recomputed as any.

RDD → relation: a *production*. Its RDD's partitions are left as map outputs of one piece, with typed columns; the kernel plans with an
empty Arrow file for each of them, which the plan then exchanges for the output itself. How the files are grouped is the kernel's choice, so
the plan holds for any number of partitions, whether it is one task or stages.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quiver.plan.lineage import Fragmented, Shuffle
from quiver.plan.stages import Planner
from quiver.sql.arrow_types import arrow_type, nullable
from quiver.sql.cutting import CutPlan, reads_of
from quiver.sql.passing import passing_folder
from quiver.sql.tree.expressions import Attribute
from quiver_proto import ops
from quiver_proto.fragments import Exchange, scans, width
from quiver_proto.ops import CallSite
from quiver_proto.v1.kernel_pb2 import Plan

if TYPE_CHECKING:
    from datafusion import SessionContext

    from quiver.rdd import RDD

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Production:
    """An RDD's batches on their way into one query, under a name that no other query uses.

    `head` is the schema that the kernel reads, serialised. `size` is about how many bytes they are; None: who knows. `folder` holds the
    empty files, for as long as this lives.
    """

    name: str
    shuffle: Shuffle
    head: bytes
    size: int | None
    folder: str

    def register(self, context: SessionContext) -> None:
        """Give the kernel an empty table of this name."""
        context.register_arrow(self.name, Path(self.folder, self.name))


def produce(
    name: str, rdd: RDD[Any], columns: Sequence[Attribute], planner: Planner, call_site: CallSite, size: int | None = None
) -> Production:
    """The batches of `rdd` as these columns, by place, of a query. The RDD's functions are sealed now. Raises UnpicklableClosure."""
    import pyarrow as pa

    # Whether a column may be null is known to the analysed tree; that it may be is always true here.
    schema = pa.schema([pa.field(f"{column.name}#{column.id}", nullable(arrow_type(column.type))) for column in columns])
    head = schema.serialize().to_pybytes()
    shuffle = planner.shuffle(rdd._dataset, ops.KernelPartitioner(1, b"", head), None, call_site)
    folder = passing_folder("quiver-produced-")
    production = Production(name, shuffle, head, size, folder)
    weakref.finalize(production, shutil.rmtree, folder, True)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema):
        pass
    empty = sink.getvalue().to_pybytes()
    place = Path(folder, name)
    place.mkdir()
    # An RDD without partitions leaves one output, of nothing.
    for number in range(max(1, rdd.getNumPartitions())):
        (place / f"{number:08d}.arrow").write_bytes(empty)
    return production


def placed(plan: Plan, productions: Mapping[str, Production]) -> None:
    """Put the outputs in place of the empty files that the plan was made with."""
    for scan in scans(plan) if productions else ():
        for group in scan.base_conf.file_groups:
            found = [f"//{file.path}".rsplit("/", 2)[1:] for file in group.files]
            if found and found[0][0] in productions:
                numbers = [int(number.removesuffix(".arrow")) for _, number in found]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
                shuffle = productions[found[0][0]].shuffle
                del group.files[:]
                group.files.add(path=Exchange(shuffle.id, True, numbers[0], len(numbers)).path, size=1)


def lineage(
    cut: CutPlan,
    productions: Iterable[Production],
    planner: Planner,
    schema: bytes,
    call_site: CallSite,
    settings: Settings,
    functions: tuple[ops.Function, ...] = (),
) -> Fragmented:
    """A cut plan as lineage: a dataset whose records are batches of `schema`, in as many partitions as the plan has."""
    shuffles = {int(each.shuffle.id): each.shuffle for each in productions}
    heads = {int(each.shuffle.id): each.head for each in productions}

    def fragmented(plan: Plan, head: bytes) -> Fragmented:
        reads = reads_of(plan)
        node = ops.Fragment(plan.SerializeToString(), tuple((number, heads[number]) for number in reads), settings, head, functions)
        return planner.fragmented(node, tuple(shuffles[number] for number in reads), width(plan), call_site)

    for stage in cut.stages:
        how = ops.KernelPartitioner(stage.pieces, b"" if stage.hash is None else stage.hash.SerializeToString(), stage.schema)
        heads[stage.shuffle_id] = stage.schema
        shuffles[stage.shuffle_id] = planner.shuffle(
            fragmented(stage.plan, stage.schema), how, None, call_site, shuffle_id=stage.shuffle_id
        )
    return fragmented(cut.result, schema)
