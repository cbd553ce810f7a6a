"""Which datasets a barrier stage may be made of."""

from __future__ import annotations

from quiver.plan.lineage import Dataset
from quiver_proto.errors import BarrierChainUnsupported


def check_chain(dataset: Dataset, tasks: int) -> None:
    """Every dataset of the stage that ends with `dataset` has one partition for each of its tasks, and at most one barrier parent.

    Raises BarrierChainUnsupported.
    """
    pending = [dataset]
    seen: set[int] = set()
    while pending:
        base = pending.pop().base
        if base.id in seen:
            continue
        seen.add(base.id)
        if base.width != tasks:
            raise BarrierChainUnsupported(f"what {base.call_site} made has {base.width} partitions, and the stage {tasks} tasks")
        parents = base.parents
        if sum(parent.barrier for parent in parents) > 1:
            raise BarrierChainUnsupported(f"what {base.call_site} made is made from more than one barrier RDD")
        pending += parents
