"""Contexts for this folder: `recorder` records plans and runs nothing; `sc` runs them, on each master in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from quiver import Conf, Context
from quiver.plan.model import PlannedJob
from quiver.runner import launch
from quiver_proto.frames import dump_value
from quiver_proto.ids import JobId, ShuffleId


class RecordingDriver:
    """Keeps the jobs it is given; each partition's result is `answer`."""

    application_id = "app-test"
    default_parallelism = 2
    ui_url = None
    id_base = 1000
    started_at = 12.5

    def __init__(self) -> None:
        self.jobs: list[PlannedJob] = []
        self.released: list[int] = []
        self.cancelled: list[tuple[str, str]] = []
        self.stops = 0
        self.answer: object = []

    def run(self, job: PlannedJob) -> Sequence[bytes]:
        self.jobs.append(job)
        spec = job.stages[-1].spec
        return [dump_value(self.answer)] * (spec.width if spec.partitions is None else len(spec.partitions))

    def cancel(self, job_id: JobId, reason: str) -> None:
        self.cancelled.append((str(job_id), reason))

    def cancel_group(self, group: str, reason: str) -> None:
        self.cancelled.append((group, reason))

    def release_shuffle(self, shuffle_id: ShuffleId) -> None:
        self.released.append(shuffle_id)

    def stop(self) -> None:
        self.stops += 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> RecordingDriver:
    """What the next Contexts of this test get as their driver."""
    made = RecordingDriver()
    monkeypatch.setattr(launch, "connect", lambda *given: made)
    return made


@pytest.fixture
def recorder(driver: RecordingDriver) -> Iterator[Context]:
    with Context("inline", "test", Conf(loadDefaults=False)) as context:
        yield context


@pytest.fixture(scope="module", params=["inline", "local[2]"])
def sc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    place = tmp_path_factory.mktemp("quiver")
    conf = Conf(loadDefaults=False).setMaster(request.param).setAppName("rdd tests").set("spark.ui.enabled", False)
    conf.set("quiver.local.dir", str(place / "local")).set("quiver.eventLog.dir", str(place / "events"))
    with Context(conf=conf) as context:
        yield context
