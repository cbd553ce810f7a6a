"""Contexts for this folder: `recorder` records plans and runs nothing; `sc` runs them, on each master in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recording import RecordingDriver

from quiver import Conf, Context
from quiver.runner import launch


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> RecordingDriver:
    """What the next Contexts of this test get as their driver."""
    made = RecordingDriver()
    monkeypatch.setattr(launch, "connect", lambda *given: made)
    return made


@pytest.fixture
def recorder(driver: RecordingDriver) -> Iterator[Context]:
    with Context("inline", "test", conf=Conf(loadDefaults=False)) as context:
        yield context


@pytest.fixture(scope="module", params=["inline", "local[2]"])
def sc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    place = tmp_path_factory.mktemp("quiver")
    conf = Conf(loadDefaults=False).setMaster(request.param).setAppName("rdd tests").set("spark.ui.enabled", False)
    conf.set("quiver.local.dir", str(place / "local")).set("quiver.eventLog.dir", str(place / "events"))
    with Context(conf=conf) as context:
        yield context
