"""Where caches and checkpoints come into a plan.

Functions are sealed when a boundary is defined, but a dataset may be persisted or checkpointed afterwards, and that holds for
all that is made from it. So marks (lineage.Mark) are looked at when a job is planned: `arrange` walks the datasets of a stage beside
its sealed nodes and gives both anew, with a Kept and an ops.Cache on top of whatever is persisted, and with a checkpoint's files in
place of the lineage that they save. Where no mark is met, the very same objects come back.

A stage with caches can be sent in several ways, its *variants*: the split of a partition may end at a block that is believed to be
there. Variant n ends, on every path, at the n-th cache from the top; the last variant ends at none and recomputes all. Each says
which blocks it needs and which shuffles it still reads. Which one is taken is the scheduler's choice (scheduler/caching.py), as late
as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from quiver.plan.lineage import (
    Coalesced,
    Crossed,
    Dataset,
    Gathered,
    Kept,
    Mark,
    Narrow,
    Saved,
    Shuffle,
    Shuffled,
    Unioned,
    Vanished,
    Zipped,
)
from quiver.plan.splits import split_of
from quiver.scheduler.blocks import StoredDataset
from quiver.scheduler.caching import Caching, Variant
from quiver_proto import ops
from quiver_proto.ids import ShuffleId

MOST_CUTS = 4
"""Caches below the fourth of a stage are used, but splits don't end there."""

Pair = tuple[Dataset, ops.Node]


def arrange(dataset: Dataset, node: ops.Node) -> Pair:
    """The dataset and its sealed node with caches and checkpoints put in. Loops, not recursion: lineages may be deep."""
    done: dict[tuple[int, int], Pair] = {}
    expanded: dict[tuple[int, int], Pair] = {}
    pending: list[Pair] = [(dataset, node)]
    while pending:
        pair = pending[-1]
        key = id(pair[0]), id(pair[1])
        if key in done:
            pending.pop()
            continue
        if key not in expanded:
            expanded[key] = _with_inner_unions(*pair)
        open_pair = expanded[key]
        below = _below(*open_pair)
        todo = [inner for inner in below if (id(inner[0]), id(inner[1])) not in done]
        if todo:
            pending += reversed(todo)
            continue
        done[key] = _rebuilt(*open_pair, below, [done[id(inner[0]), id(inner[1])] for inner in below])
        pending.pop()
    return done[id(dataset), id(node)]


def _below(dataset: Dataset, node: Any) -> list[Pair]:
    if dataset.mark.saved is not None:
        return []
    match dataset:
        case Narrow() | Coalesced():
            return [(dataset.parent, node.parent)]
        case Unioned():
            return list(zip(dataset.branches, node.parents, strict=True))
        case Gathered():
            return list(zip(dataset.sides, node.parents, strict=True))
        case Crossed() | Zipped():
            return [(dataset.left, node.left), (dataset.right, node.right)]
        case _:
            return []


def _rebuilt(dataset: Dataset, node: Any, below: list[Pair], now: list[Pair]) -> Pair:
    mark = dataset.mark
    if mark.saved is not None:
        dataset, node = mark.saved, ops.CheckpointRead() if isinstance(mark.saved, Saved) else ops.Items()
    elif any(old[1] is not new[1] for old, new in zip(below, now, strict=True)):
        datasets, nodes = [pair[0] for pair in now], [pair[1] for pair in now]
        match dataset:
            case Narrow():
                dataset, node = replace(dataset, parent=datasets[0]), replace(node, parent=nodes[0])
            case Coalesced():
                node = replace(node, parent=nodes[0])
                dataset = replace(dataset, parent=datasets[0], node=node, reads=datasets[0].inputs)
            case Unioned():
                node = replace(node, parents=tuple(nodes))
                dataset = replace(dataset, branches=tuple(datasets), node=node, reads=merged(datasets))
            case Gathered():
                node = replace(node, parents=tuple(nodes))
                dataset = replace(dataset, sides=tuple(datasets), node=node, reads=merged(datasets))
            case Crossed() | Zipped():
                node = replace(node, left=nodes[0], right=nodes[1])
                dataset = replace(dataset, left=datasets[0], right=datasets[1], node=node, reads=merged(datasets))
            case _:
                raise AssertionError(type(dataset))
    if mark.is_kept:
        assert mark.level is not None
        id_ = dataset.id
        dataset = Kept(
            id=id_, call_site=dataset.call_site, partitioning=dataset.partitioning, name=dataset.name, parent=dataset, level=mark.level
        )
        node = ops.Cache(node, id_, mark.level)
    return dataset, node


def _with_inner_unions(dataset: Dataset, node: Any) -> Pair:
    """A union that absorbed others which were marked afterwards, with those standing for themselves again."""
    if not isinstance(dataset, Unioned) or not any(_is_marked(inner.mark) for inner in dataset.absorbed):
        return dataset, node
    branches: list[Dataset] = []
    nodes: list[ops.Node] = []
    position = 0
    # The outermost come last: what is inside one of them is left to it.
    outermost: list[Any] = []
    for inner in reversed(dataset.absorbed):
        if _is_marked(inner.mark) and not any(other.start <= inner.start and inner.stop <= other.stop for other in outermost):
            outermost.append(inner)
    for inner in sorted(outermost, key=lambda inner: inner.start):
        branches += dataset.branches[position : inner.start]
        nodes += node.parents[position : inner.start]
        own = ops.Union(node.parents[inner.start : inner.stop])
        parts = dataset.branches[inner.start : inner.stop]
        inside = tuple(
            other._replace(start=other.start - inner.start, stop=other.stop - inner.start)
            for other in dataset.absorbed
            if other is not inner and inner.start <= other.start and other.stop <= inner.stop and other not in outermost
        )
        branches.append(
            Unioned(
                id=inner.id,
                call_site=inner.call_site,
                name=inner.name,
                mark=inner.mark,
                node=own,
                reads=merged(parts),
                branches=parts,
                absorbed=inside,
            )
        )
        nodes.append(own)
        position = inner.stop
    branches += dataset.branches[position:]
    nodes += node.parents[position:]
    whole = replace(node, parents=tuple(nodes))
    return replace(dataset, branches=tuple(branches), node=whole, absorbed=()), whole


def _is_marked(mark: Mark) -> bool:
    return mark.is_kept or mark.saved is not None


def merged(datasets: Iterable[Dataset]) -> tuple[Shuffle, ...]:
    """The shuffles that these read, each once."""
    return tuple({shuffle.id: shuffle for dataset in datasets for shuffle in dataset.inputs}.values())


# ---- variants ----


def caching_of(dataset: Dataset) -> tuple[Caching, int] | None:
    """What the scheduler is told about the caches of a stage with this (arranged) dataset at its end, and how many variants end at
    a cache; None without any."""
    kept, chain, reads = _survey(dataset)
    if not kept:
        return None
    stored = tuple(
        StoredDataset(each.id, each.name or str(each.call_site), each.width, each.level, isinstance(each.parent, Vanished)) for each in kept
    )
    if chain is not None:
        return Caching(stored, _chain_variants(chain, reads)), min(len(chain), MOST_CUTS)
    cuts = min(_depth(dataset), MOST_CUTS)
    return Caching(stored, lambda partition: _variants(dataset, partition, cuts)), cuts


def variant_of(dataset: Dataset, cuts: int, partition: int, variant: int) -> Any:
    """The split of one partition in one of its variants."""
    return split_of(dataset, partition, variant if variant < cuts else -1)


def _survey(dataset: Dataset) -> tuple[list[Kept], list[Kept] | None, tuple[ShuffleId, ...]]:
    """All caches of a stage, each once; the same from the top when there is but one path down; and the shuffles at that path's end."""
    found: dict[int, Kept] = {}
    pending = [dataset]
    seen: set[int] = set()
    is_chain = True
    end = dataset
    while pending:
        end = current = pending.pop().base
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Kept):
            found.setdefault(current.id, current)
            pending.append(current.parent)
        elif isinstance(current, Unioned | Coalesced | Crossed | Zipped | Gathered):
            is_chain = False
            pending.extend(reversed(current.parents))
    kept = list(found.values())
    return kept, kept if is_chain else None, tuple(shuffle.id for shuffle in end.inputs)


def _chain_variants(chain: list[Kept], reads: tuple[ShuffleId, ...]) -> Callable[[int], Iterable[Variant]]:
    """Every partition needs the block of its own number."""
    ids = [each.id for each in chain[:MOST_CUTS]]
    last = chain[-1].id if isinstance(chain[-1].parent, Vanished) else None

    def variants(partition: int) -> Iterator[Variant]:
        for each in ids:
            yield Variant(((each, partition),), ())
        yield Variant((), reads) if last is None else Variant(((last, partition),), ())

    return variants


def _variants(dataset: Dataset, partition: int, cuts: int) -> Iterator[Variant]:
    for cut in (*range(cuts), -1):
        needs: dict[tuple[int, int], None] = {}
        reads: dict[ShuffleId, None] = {}
        _follow(dataset, partition, cut, needs, reads)
        yield Variant(tuple(needs), tuple(reads))


def _follow(dataset: Dataset, partition: int, cut: int, needs: dict[tuple[int, int], None], reads: dict[ShuffleId, None]) -> None:
    pending = [(dataset, partition, cut)]
    while pending:
        current, partition, cut = pending.pop()
        current = current.base
        match current:
            case Kept():
                if cut == 0 or isinstance(current.parent, Vanished):
                    needs[current.id, partition] = None
                else:
                    pending.append((current.parent, partition, cut - 1))
            case Unioned():
                branch, inner = current.locate(partition)
                pending.append((current.branches[branch], inner, cut))
            case Coalesced():
                pending.extend((current.parent, inner, cut) for inner in reversed(current.group(partition)))
            case Crossed():
                rights = current.right.width
                pending += [(current.right, partition % rights, cut), (current.left, partition // rights, cut)]
            case Zipped():
                pending += [(current.right, partition, cut), (current.left, partition, cut)]
            case Gathered():
                pending.extend((side, partition, cut) for side in reversed(current.sides))
            case Shuffled():
                reads.update(dict.fromkeys(shuffle.id for shuffle in current.reads))
            case _:
                pass


def _depth(dataset: Dataset) -> int:
    """How many caches lie above one another on the path that has most."""
    depths: dict[int, int] = {}
    pending = [dataset.base]
    while pending:
        current = pending[-1]
        below = [parent.base for parent in current.parents]
        unknown = [parent for parent in below if id(parent) not in depths]
        if unknown:
            pending += unknown
        else:
            depths[id(current)] = max((depths[id(parent)] for parent in below), default=0) + isinstance(current, Kept)
            pending.pop()
    return depths[id(dataset.base)]
