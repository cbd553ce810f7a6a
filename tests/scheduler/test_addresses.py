"""Who has which address of a resource."""

from __future__ import annotations

import pytest

from quiver.plan.model import PlannedJob, PlannedStage
from quiver.scheduler.model import Needs, StageSpec
from quiver.scheduler.resources import ONE, Addresses
from quiver.serve.plans import from_message, to_message
from quiver_proto.ids import JobId, StageId, TaskId
from quiver_proto.ops import CallSite

WHOLE, HALF, THIRD = Needs((("gpu", 1.0),)), Needs((("gpu", 0.5),)), Needs((("gpu", 1 / 3),))


def held(*gpus: str) -> Addresses:
    return Addresses({"gpu": gpus or ("0", "1")})


def test_whole_addresses_are_exclusive() -> None:
    holdings = held()
    assert holdings.fits(WHOLE) == 2
    assert holdings.take(TaskId(1), WHOLE) == {"gpu": ("0",)}
    assert holdings.take(TaskId(2), WHOLE) == {"gpu": ("1",)}
    assert (holdings.fits(WHOLE), holdings.capacity(WHOLE)) == (0, 2)
    holdings.give_back(TaskId(1))
    assert holdings.take(TaskId(3), WHOLE) == {"gpu": ("0",)}


def test_a_share_goes_where_one_is_taken_already() -> None:
    holdings = held()
    holdings.take(TaskId(1), HALF)
    assert holdings.take(TaskId(2), HALF) == {"gpu": ("0",)}
    assert (holdings.fits(HALF), holdings.fits(WHOLE)) == (2, 1)


@pytest.mark.parametrize("amount", [1 / 2, 1 / 3, 1 / 6, 1 / 7, 0.1, 0.29, 0.01])
def test_so_many_shares_as_fit(amount: float) -> None:
    needs = Needs((("gpu", amount),))
    holdings = held("0")
    count = int(1 / amount + 1e-9)
    assert holdings.fits(needs) == holdings.capacity(needs) == count
    for number in range(count):
        holdings.take(TaskId(number), needs)
    assert holdings.fits(needs) == 0
    for number in range(count):
        holdings.give_back(TaskId(number))
    assert holdings.free == {"gpu": {"0": ONE}}


def test_several_resources_together() -> None:
    holdings = Addresses({"gpu": ["0", "1", "2"], "nic": ["eth0"]})
    both = Needs((("gpu", 2.0), ("nic", 0.5)))
    assert (holdings.fits(both), holdings.capacity(both)) == (1, 1)
    assert holdings.take(TaskId(1), both) == {"gpu": ("0", "1"), "nic": ("eth0",)}
    assert holdings.fits(Needs((("nic", 0.5),))) == 1
    assert holdings.fits(Needs((("tpu", 1.0),))) == 0


def test_giving_back_what_one_does_not_have_changes_nothing() -> None:
    holdings = held()
    holdings.give_back(TaskId(9))
    assert holdings.fits(WHOLE) == 2


def test_needs_and_barriers_reach_a_shared_driver() -> None:
    site = CallSite("collect", "app.py", 1)
    needs = Needs((("gpu", 0.5), ("nic", 1.0)), (("cores", 2), ("memory", 1 << 30)))
    spec = StageSpec(StageId(1), "collect at app.py:1", 2, barrier=True, needs=needs)
    job = PlannedJob(JobId(1), (PlannedStage(spec, b"body", lambda partition: b"split"),), site)
    assert from_message(to_message("session", job)).stages[0].spec == spec
