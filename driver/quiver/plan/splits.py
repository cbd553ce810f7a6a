"""Which split each partition of a dataset has: the plain value that tells a task its part of the data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from quiver.plan.lineage import (
    Coalesced,
    Crossed,
    Dataset,
    Files,
    Gathered,
    Kept,
    Narrow,
    Parallelized,
    Saved,
    Shuffled,
    Span,
    Unioned,
    Vanished,
    Zipped,
)


def split_of(dataset: Dataset, partition: int, cut: int = -1) -> Any:
    """The split of one partition, in the shape that quiver_proto.ops tells for the dataset's tree of nodes.

    With `cut` n, it ends on every path at the n-th Kept from the top (from 0): that block is believed to be there.
    """
    wraps: list[int] = []
    while True:
        if isinstance(dataset, Narrow):
            wraps.extend([partition] * dataset.indexes)
            dataset = dataset.chain_base
        if isinstance(dataset, Kept):
            wraps.append(partition)
            if cut == 0:
                break
            cut -= 1
            dataset = dataset.parent
        elif isinstance(dataset, Unioned):
            branch, partition = dataset.locate(partition)
            wraps.append(branch)
            dataset = dataset.branches[branch]
        else:
            break
    split: Any
    match dataset:
        case Kept() | Vanished():
            split = None
        case Saved():
            split = tuple(dataset.files[partition])
        case Parallelized():
            split = dataset.frames[partition]
        case Span():
            split = dataset.slice(partition)
        case Files():
            split = [tuple(chunk) for chunk in dataset.chunks()[partition]]
        case Shuffled():
            split = partition
        case Coalesced():
            split = [split_of(dataset.parent, i, cut) for i in dataset.group(partition)]
        case Crossed():
            rights = dataset.right.width
            split = (split_of(dataset.left, partition // rights, cut), split_of(dataset.right, partition % rights, cut))
        case Zipped():
            split = (split_of(dataset.left, partition, cut), split_of(dataset.right, partition, cut))
        case Gathered():
            split = [split_of(side, partition, cut) for side in dataset.sides]
        case _:
            raise AssertionError(type(dataset))
    for wrap in reversed(wraps):
        split = (wrap, split)
    return split


def splitter(dataset: Dataset) -> Callable[[int], Any]:
    """`split_of` for one dataset, with what does not depend on the partition looked up once."""
    base = dataset.base
    if isinstance(dataset, Narrow) and dataset.indexes:
        return functools.partial(split_of, dataset)
    if isinstance(base, Span):
        return base.slice
    if isinstance(base, Parallelized):
        return base.frames.__getitem__
    return functools.partial(split_of, base)
