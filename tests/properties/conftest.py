"""One context for all examples of a test module on one master."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quiver import Conf, Context


@pytest.fixture(scope="module")
def sc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    place = tmp_path_factory.mktemp("quiver")
    conf = Conf(loadDefaults=False).setMaster(request.param).setAppName("properties").set("spark.ui.enabled", False)
    conf.set("quiver.local.dir", str(place / "local")).set("quiver.eventLog.dir", str(place / "events"))
    with Context(conf=conf) as context:
        context.setCheckpointDir(str(place / "checkpoints"))
        yield context
