"""What comes next when some of a query's shuffles are there: their sizes re-plan the stages that read them. Pure: sizes in, plans out.

    empty side       a join that can't give rows any more: what only its other side reads is not computed
    small build side a partitioned join whose build side came out small: the other side is joined where it is made, and not shuffled
    few keys         which rows would have to meet in some join above: the others are not shuffled (sifting.py)
    small pieces     neighbours are read by one task
    one task's rows  that only one other task will read: both are one task, and nothing is written between them
    skewed pieces    of the side of a join that may be split, parts are read by several tasks, each with all of the other side

A fragment is settled when it is about to run, and then keeps its layout: what is made again after a loss is made by the same tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from quiver.sql.cutting import EMITS_LEFT, EMITS_RIGHT, NEEDS_LEFT, NEEDS_RIGHT, CutPlan, CutStage, reads_of
from quiver.sql.regrouping import Reading, Segment, ShuffleSizes, Split, is_identity, is_partitioned, regrouped, segments
from quiver.sql.sifting import Sifter, Sifting
from quiver.sql.unfinished import Progress, fragment, fragments, with_fragment
from quiver_proto.fragments import (
    BY_RIGHT,
    COLLECT_LEFT,
    PASSING,
    SCANS,
    Exchange,
    body_of,
    children,
    exchange_of,
    kind_of,
    read_bytes,
    scan_nodes,
    scans,
    width,
)
from quiver_proto.units import format_bytes
from quiver_proto.v1.kernel_pb2 import ColumnExpression, Opaque, Plan

_PARTIAL, _FINAL_PARTITIONED, _SINGLE_PARTITIONED = 0, 2, 4
"""Modes of an aggregate. Those that are partitioned have keys: no rows in, no rows out."""
_WORTH_SIFTING = 32
"""What all tasks of a stage read to sift it, so many times, is to be less than what they read anyway: files have columns that are not."""
_WORTH_COLLECTING = 4
"""The same for a build side that is not small: what every task reads of it is to be less than what the other side's tasks read."""
_WORTH_WAITING = 8 << 20
"""Bytes that have to be read for a side of a join. Dealing the rows of so much costs more than the end of the other side's stage, when
some cores may have nothing to do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Sizes in bytes as shuffled, which is compressed.

    Pieces are put together up to `target_bytes`, but not so that fewer than `least_tasks` are left, unless they are smaller than
    `least_bytes`. A piece is skewed when it is larger than `skew_bytes` and `skew_factor` times the median. A build side up to
    `broadcast_bytes` is small (-1: none is); up to `collected_bytes` it is where the other side is far larger.
    """

    target_bytes: int = 64 << 20
    least_bytes: int = 1 << 20
    least_tasks: int = 1
    broadcast_bytes: int = 10 << 20
    collected_bytes: int = 0
    skew_bytes: int = 256 << 20
    skew_factor: float = 5.0
    coalesces: bool = True
    splits: bool = True


def advanced(progress: Progress, policy: Policy) -> tuple[Progress, tuple[CutStage, ...]]:
    """(the query re-planned by what is known, the stages to run now, all of whose inputs are there).

    No stages: nothing is to be learned any more. What is still pending runs in one job with the result.
    """
    again = True
    while again:
        progress, emptied = _without_empty_join(progress)
        progress, built = _with_small_build(progress, policy)
        progress, sifted = _with_sifted_stage(progress, policy)
        progress, joined = _with_joined_tasks(progress, policy) if not (emptied or built or sifted) else (progress, False)
        again = emptied or built or sifted or joined
    pending = progress.pending()
    waiting = _waiting(progress, policy)
    now: list[CutStage] = []
    if any(stage.pieces > 1 for stage in pending):
        missing = {stage.shuffle_id for stage in pending}
        ready = [stage for stage in pending if not missing.intersection(stage.reads)]
        now = [stage for stage in ready if stage.shuffle_id not in waiting] or ready
    owners: list[int | None] = [stage.shuffle_id for stage in now or pending]
    for owner in owners if now else [*owners, None]:
        progress = _settled(progress, owner, policy)
    chosen = {stage.shuffle_id for stage in now}
    return progress, tuple(stage for stage in progress.plan.stages if stage.shuffle_id in chosen)


# ---- joins that can't give rows ----


def _without_empty_join(progress: Progress) -> tuple[Progress, bool]:
    for owner, plan in fragments(progress):
        for node, _ in _nodes(plan):
            if kind_of(node) not in ("hash_join", "sort_merge_join"):
                continue
            body = body_of(node)
            for empty, other, needing in ((body.left, body.right, NEEDS_LEFT), (body.right, body.left, NEEDS_RIGHT)):
                if body.join_type in needing and _has_work(other, progress) and _is_empty(empty, progress.known):
                    for scan in scans(other):
                        for group in scan.base_conf.file_groups:
                            del group.files[:]
                    return with_fragment(progress, owner, plan, "a join has an empty side: its other side is not computed"), True
    return progress, False


def _is_empty(plan: Plan, known: Mapping[int, ShuffleSizes]) -> bool:
    """Whether it is sure to give no rows."""
    kind, body = kind_of(plan), body_of(plan)
    if kind in SCANS:
        groups = body.base_conf.file_groups
        exchanges = [exchange_of(group) for group in groups]
        return all(
            not group.files or (x is not None and x.shuffle_id in known and known[x.shuffle_id].read_by(x) == 0)
            for group, x in zip(groups, exchanges, strict=True)
        )
    if kind in ("hash_join", "sort_merge_join"):
        left, right = _is_empty(body.left, known), _is_empty(body.right, known)
        return (left and body.join_type in NEEDS_LEFT) or (right and body.join_type in NEEDS_RIGHT) or (left and right)
    if kind == "aggregate":
        return body.mode in (_FINAL_PARTITIONED, _SINGLE_PARTITIONED) and _is_empty(body.input, known)
    if kind == "union":
        return all(_is_empty(branch, known) for branch in body.inputs)
    if kind in PASSING or kind in ("sort", "sort_preserving_merge", "scalar_subquery", "global_limit", "merge"):
        return _is_empty(body.input, known)
    return False


def _has_work(plan: Plan, progress: Progress) -> bool:
    """Whether it reads anything that is still to be computed, or files."""
    groups = [group for scan in scans(plan) for group in scan.base_conf.file_groups]
    return any(group.files and ((x := exchange_of(group)) is None or x.shuffle_id not in progress.known) for group in groups)


# ---- joins whose build side came out small ----


def _with_small_build(progress: Progress, policy: Policy) -> tuple[Progress, bool]:
    for owner, plan in fragments(progress):
        found = _small_build(plan, progress, policy)
        if found is not None:
            note = f"a join's build side has {format_bytes(found[0])}: shuffle {found[1]} is not needed"
            return with_fragment(progress, owner, plan, note), True
    return progress, False


def _small_build(plan: Plan, progress: Progress, policy: Policy) -> tuple[int, int] | None:
    """Change one join of `plan` so that it collects its build side; (the side's size, the shuffle that is avoided)."""
    for node, free in _nodes(plan):
        stream = _stream(node, progress) if free else None
        if stream is None:
            continue
        join = node.hash_join
        (*rest, segment) = segments(join.left, progress.known)
        size = sum(segment.weights or ())
        if rest or segment.weights is None or size > max(policy.broadcast_bytes, policy.collected_bytes):
            continue
        if size > policy.broadcast_bytes and size * width(stream[1].plan) * _WORTH_COLLECTING > _cost(stream[1].plan, progress):
            continue
        _collect_build(node, segment.width, *stream)
        return size, stream[1].shuffle_id
    return None


def _with_sifted_stage(progress: Progress, policy: Policy) -> tuple[Progress, bool]:
    for found in _siftings(progress):
        if found.source.shuffle_id not in progress.known:
            continue
        size = progress.known[found.source.shuffle_id].total
        if size <= policy.broadcast_bytes and size * width(found.stage.plan) * _WORTH_SIFTING <= _cost(found.stage.plan, progress):
            shuffle = found.stage.shuffle_id
            note = f"shuffle {found.source.shuffle_id} has {format_bytes(size)}: only rows that may meet it are in shuffle {shuffle}"
            return with_fragment(progress, shuffle, found.applied(), note), True
    return progress, False


def _siftings(progress: Progress) -> Iterator[Sifting]:
    sifter = Sifter(progress.plan, {stage.shuffle_id for stage in progress.pending()})
    for _, plan in fragments(progress):
        for node, _ in _nodes(plan):
            yield from sifter.siftings(node)


def with_hints(plan: CutPlan, built: frozenset[str]) -> CutPlan:
    """The plan in which joins collect their build sides where these columns (as the kernel calls them) are all of their keys there.

    A join whose other side the kernel builds from stays: that one is smaller. So does one whose rows must lie as they are.
    """
    progress = Progress(plan)
    sizes = {stage.shuffle_id: ShuffleSizes([[0] * stage.pieces]) for stage in plan.stages}
    again = bool(built)
    while again:
        again = False
        for owner, reader in fragments(progress):
            for node, free in _nodes(reader):
                stream = _stream(node, progress) if free else None
                if stream is None or not all(_column(pair.left) in built for pair in node.hash_join.on):
                    continue
                (*rest, segment) = segments(node.hash_join.left, sizes)
                if rest or segment.weights is None:
                    continue
                _collect_build(node, segment.width, *stream)
                progress = with_fragment(progress, owner, reader, "a hint")
                again = True
                break
            if again:
                break
    return progress.plan


def _column(expression: Opaque) -> str:
    return str(ColumnExpression.FromString(expression.SerializeToString()).column.name)


def _collect_build(node: Plan, pieces: int, scan: Plan, stage: CutStage) -> None:
    join = node.hash_join
    join.left.CopyFrom(regrouped(join.left, [Reading(0, pieces)]))
    join.partition_mode = COLLECT_LEFT
    scan.CopyFrom(stage.plan)


def _stream(node: Plan, progress: Progress) -> tuple[Plan, CutStage] | None:
    """Of a join that could collect its build side: the scan of its other side's shuffle, which is not there yet, and that one's stage."""
    if kind_of(node) != "hash_join" or not is_partitioned(node) or node.hash_join.join_type in EMITS_LEFT or node.hash_join.null_aware:
        return None
    below = node.hash_join.right
    while _is_free(below):
        below = body_of(below).input
    exchange = _exchange_of(below)
    if exchange is None or exchange.by_map or exchange.shuffle_id in progress.known:
        return None
    stage = next((stage for stage in progress.plan.stages if stage.shuffle_id == exchange.shuffle_id), None)
    return None if stage is None else (below, stage)


def _waiting(progress: Progress, policy: Policy) -> set[int]:
    """Shuffles that wait, since a build side may come out small and save them, or keys few and save most of their rows."""
    if policy.broadcast_bytes < 0:
        return set()
    worth = min(_WORTH_WAITING, policy.target_bytes)
    stages = {stage.shuffle_id: stage for stage in progress.pending()}
    sources: dict[int, set[int]] = {}
    for _, plan in fragments(progress):
        for node, free in _nodes(plan):
            stream = _stream(node, progress) if free else None
            missing = stages.keys() & reads_of(node.hash_join.left) if stream is not None else set[int]()
            if stream is not None and missing:
                sources.setdefault(stream[1].shuffle_id, set()).update(missing)
    for sifting in _siftings(progress):
        if sifting.source.shuffle_id in stages:
            sources.setdefault(sifting.stage.shuffle_id, set()).add(sifting.source.shuffle_id)
    costs = {shuffle: _cost(stage.plan, progress) for shuffle, stage in stages.items()} if sources else {}
    below = {shuffle: _missing_below(shuffle, stages) for shuffle in stages} if sources else {}
    sources = {shuffle: of for shuffle, of in sources.items() if costs[shuffle] > worth}

    def gives_way(shuffle: int, source: int) -> bool:
        """Not where the source would wait for it in its turn, and is dearer."""
        turned = any(shuffle in below[other] for each in below[source] for other in sources.get(each, ()))
        return not turned or (costs[source], source) <= (costs[shuffle], shuffle)

    return {shuffle for shuffle, of in sources.items() if any(gives_way(shuffle, source) for source in of)}


def _missing_below(shuffle: int, stages: Mapping[int, CutStage]) -> set[int]:
    """Those of the stages that it takes to make it, itself among them."""
    found = {shuffle}
    pending = [shuffle]
    while pending:
        new = stages.keys() & set(stages[pending.pop()].reads) - found
        found |= new
        pending += new
    return found


def _cost(plan: Plan, progress: Progress) -> int:
    """Bytes that have to be read to compute it."""
    stages = {stage.shuffle_id: stage for stage in progress.plan.stages}
    total = 0
    for scan in scans(plan):
        for group in scan.base_conf.file_groups:
            if exchange_of(group) is None:
                total += sum(map(read_bytes, group.files))
    for shuffle in reads_of(plan):
        if shuffle in progress.known:
            total += progress.known[shuffle].total
        elif shuffle in stages:  # Else an RDD leaves it, of which nothing is known.
            total += _cost(stages[shuffle].plan, progress)
    return total


# ---- how many tasks read the pieces ----


def _settled(progress: Progress, owner: int | None, policy: Policy) -> Progress:
    if owner is None and progress.plan.keeps_width:
        return progress
    plan = fragment(progress.plan, owner)
    found = segments(plan, progress.known)
    splits = _splits(plan, progress.known, policy) if policy.splits and len(found) == 1 and found[0].weights is not None else {}
    readings: list[Reading] = []
    first = 0
    for segment in found:
        readings += [Reading(first + start, first + stop) for start, stop in _together(segment, splits, policy)]
        first += segment.width
    readings = [part for reading in readings for part in splits.get(reading.start, [reading])]
    if is_identity(readings) and not splits:
        return progress
    name = "the result" if owner is None else f"shuffle {owner}"
    skewed = f", of which {len(splits)} skewed" if splits else ""
    note = f"{name} is made by {len(readings)} task{'s' if len(readings) > 1 else ''} from {first} partitions{skewed}"
    return with_fragment(progress, owner, regrouped(plan, readings), note)


def _together(segment: Segment, apart: Mapping[int, object], policy: Policy) -> list[tuple[int, int]]:
    if segment.weights is None or not policy.coalesces:
        return [(number, number + 1) for number in range(segment.width)]
    least = max(policy.least_bytes, -(-sum(segment.weights) // max(1, policy.least_tasks)))
    return coalesced(segment.weights, min(policy.target_bytes, least), frozenset(apart))


def coalesced(sizes: Sequence[int], target: int, apart: frozenset[int] = frozenset()) -> list[tuple[int, int]]:
    """Ranges of neighbours that have at most `target` bytes together, each with at least one. Those in `apart` stay alone."""
    ranges: list[tuple[int, int]] = []
    start, held = 0, 0
    for number, size in enumerate(sizes):
        if number > start and (held + size > target or number in apart or number - 1 in apart):
            ranges.append((start, number))
            start, held = number, 0
        held += size
    if len(sizes) > start:
        ranges.append((start, len(sizes)))
    return ranges


def split_by_maps(sizes: Sequence[int], target: int) -> list[tuple[int, int]]:
    """Ranges (first, count) of map outputs, of which each has about `target` bytes of one piece."""
    return [(start, stop - start) for start, stop in coalesced(sizes, target)]


def _splits(plan: Plan, known: Mapping[int, ShuffleSizes], policy: Policy) -> dict[int, list[Reading]]:
    """Readings of the partitions that are skewed."""
    node = plan
    while _is_free(node):
        node = body_of(node).input
    if kind_of(node) not in ("hash_join", "sort_merge_join") or not is_partitioned(node):
        return {}
    body = body_of(node)
    found: dict[int, list[Reading]] = {}
    for side, emits_other in ((body.right, EMITS_LEFT), (body.left, EMITS_RIGHT)):
        # Every part of a split side meets all of the other: rows of the other that are emitted themselves would come several times.
        while _is_free(side):
            side = body_of(side).input
        exchange = _exchange_of(side)
        if exchange is None or exchange.by_map or body.join_type in emits_other:
            continue
        sizes = known[exchange.shuffle_id]
        weights = [sizes.read_by(x) for group in body_of(side).base_conf.file_groups if (x := exchange_of(group)) is not None]
        middle = median_low(weights)
        for number, weight in enumerate(weights):
            if number in found or weight <= max(policy.skew_bytes, policy.skew_factor * middle):
                continue
            exchange = exchange_of(body_of(side).base_conf.file_groups[number])
            assert exchange is not None
            chosen = slice(exchange.number, exchange.number + exchange.many)
            parts = split_by_maps([sum(pieces[chosen]) for pieces in sizes.maps], max(policy.target_bytes, middle))
            if len(parts) > 1:
                found[number] = [Reading(number, number + 1, Split(exchange.shuffle_id, *part)) for part in parts]
    return found


# ---- tasks that follow one another ----


def _with_joined_tasks(progress: Progress, policy: Policy) -> tuple[Progress, bool]:
    """With a stage of one task put into the stage that reads it, where that is one task as well, and reads nothing else that is missing."""
    missing = {stage.shuffle_id for stage in progress.pending()}
    for stage in progress.pending():
        shuffle = stage.shuffle_id
        if not stage.reads or not progress.known.keys() >= set(stage.reads):
            continue
        owners = [(owner, plan) for owner, plan in fragments(progress) if shuffle in reads_of(plan)]
        places = [scan for _, plan in owners for scan in scan_nodes(plan) if _reads(scan, shuffle)]
        if len(places) != 1 or missing.intersection(reads_of(owners[0][1])) != {shuffle}:
            continue
        (owner, _) = owners[0]
        settled = _settled(progress, shuffle, policy)
        source = next(each.plan for each in settled.plan.stages if each.shuffle_id == shuffle)
        if width(source) != 1:
            continue
        # What it will leave is not known: about what it reads, or less.
        total = sum(progress.known[each].total for each in reads_of(source))
        guessed = ShuffleSizes([[-(-total // stage.pieces)] * stage.pieces])
        settled = _settled(replace(settled, known={**settled.known, shuffle: guessed}), owner, policy)
        reader = fragment(settled.plan, owner)
        if width(reader) != 1:
            continue
        (place,) = (scan for scan in scan_nodes(reader) if _reads(scan, shuffle))
        place.CopyFrom(source)
        name = "the result" if owner is None else f"shuffle {owner}"
        return with_fragment(progress, owner, reader, f"shuffle {shuffle} and {name} are made by one task"), True
    return progress, False


def _reads(scan: Plan, shuffle: int) -> bool:
    return any(
        (exchange := exchange_of(group)) is not None and exchange.shuffle_id == shuffle for group in body_of(scan).base_conf.file_groups
    )


# ---- fragments and their operators ----


def _is_free(plan: Plan) -> bool:
    """An operator of one input that does not care how rows lie in partitions."""
    kind = kind_of(plan)
    if kind == "aggregate":
        return bool(plan.aggregate.mode == _PARTIAL)
    return kind in ("projection", "filter", "coalesce_batches", "cooperative", "buffer", "unnest", "scalar_subquery") or (
        kind == "sort" and bool(plan.sort.preserve_partitioning)
    )


def _nodes(plan: Plan) -> Iterator[tuple[Plan, bool]]:
    """Every operator, and whether how its rows lie in partitions is its own business: nothing above relies on it."""
    pending = [(plan, True)]
    while pending:
        node, free = pending.pop()
        yield node, free
        kind, body = kind_of(node), body_of(node)
        if kind in BY_RIGHT:
            passes = kind == "hash_join" and not is_partitioned(node) and body.join_type not in EMITS_LEFT
            pending += [(body.left, False), (body.right, free and passes)]
        else:
            pending += [(child, free and _is_free(node) and number == 0) for number, child in enumerate(children(node))]


def _exchange_of(plan: Plan) -> Exchange | None:
    """The first of what an exchange reads; None for anything else."""
    groups = body_of(plan).base_conf.file_groups if kind_of(plan) in SCANS else ()
    return exchange_of(groups[0]) if groups else None
