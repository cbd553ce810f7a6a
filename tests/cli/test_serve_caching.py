"""Cached datasets over a shared driver: plans keep their variants on the way, and blocks go with their session."""

from __future__ import annotations

import scripted_driver as scripted
from scripted_driver import Scripted

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.scheduler.blocks import StoredDataset
from quiver.scheduler.caching import Caching, Variant
from quiver.scheduler.model import StageSpec
from quiver.serve.host import SessionHost
from quiver.serve.plans import from_message, to_message
from quiver.serve.sessions import ID_RANGE
from quiver_proto.codec import decode, encode
from quiver_proto.ids import JobId, ShuffleId, StageId
from quiver_proto.sessions import AskStored, CloseSession, ExecutePlan, OpenSession, Unpersist
from quiver_proto.storage import StorageLevel

KEPT = StoredDataset(ID_RANGE + 7, "kept", 3, StorageLevel.MEMORY_AND_DISK_2)
ONLY = StoredDataset(ID_RANGE + 8, "only", 3, StorageLevel.DISK_ONLY, is_only_copy=True)


def cached_job(partitions: tuple[int, ...] | None = None) -> PlannedJob:
    caching = Caching((KEPT, ONLY), lambda p: [Variant(((KEPT.dataset_id, p),), ()), Variant(((ONLY.dataset_id, p),), (ShuffleId(5),))])
    spec = StageSpec(StageId(ID_RANGE), "count at a.py:1", 3, partitions=partitions, caching=caching)
    stage = PlannedStage(spec, b"body", lambda p: b"all%d" % p, variant=lambda p, n: b"some%d" % p if n == 0 else b"all%d" % p)
    return PlannedJob(JobId(ID_RANGE), (stage,), scripted.SITE)


def over_the_wire(job: PlannedJob) -> PlannedJob:
    return from_message(decode(ExecutePlan, encode(to_message("s", job))))


def test_variants_arrive_as_they_were_sent() -> None:
    (stage,) = over_the_wire(cached_job()).stages
    assert stage.spec.caching is not None
    assert stage.spec.caching.datasets == (KEPT, ONLY)
    assert list(stage.spec.caching.variants(2)) == [
        Variant(((KEPT.dataset_id, 2),), ()),
        Variant(((ONLY.dataset_id, 2),), (ShuffleId(5),)),
    ]
    assert stage.variant is not None
    assert [stage.variant(2, 0), stage.variant(2, 1), stage.split(2)] == [b"some2", b"all2", b"all2"]


def test_splits_are_made_of_wanted_partitions_only() -> None:
    message = to_message("s", cached_job((1,)))
    assert message.stages[0].splits == (b"", b"all1", b"")
    assert [len(given.ways) for given in message.stages[0].variants] == [0, 2, 0]


def test_a_stage_without_caches_stays_one() -> None:
    (stage,) = over_the_wire(scripted.job(ID_RANGE)).stages
    assert stage.spec.caching is None
    assert stage.variant is None


def test_blocks_are_the_sessions_own_and_go_with_it() -> None:
    driver = Scripted()
    host = SessionHost(driver, lambda job: ((), ""), lambda: 0.0, {}, 120.0, 60.0)
    for name in ("mine", "other"):
        host.open(OpenSession(name, "test", "ada", "here", 1))
    job = cached_job()
    driver.end(ID_RANGE, lambda: [b"", b"", b""])
    list(host.execute(to_message("mine", job)))
    assert host.stored(AskStored("mine", KEPT.dataset_id)).partitions == 2
    assert host.stored(AskStored("other", KEPT.dataset_id)).partitions == 0
    assert not host.unpersist(Unpersist("other", KEPT.dataset_id)).done
    assert host.unpersist(Unpersist("mine", KEPT.dataset_id)).done
    assert driver.unpersisted == [KEPT.dataset_id]
    host.close(CloseSession("mine"))
    assert driver.unpersisted == [KEPT.dataset_id, ONLY.dataset_id]
