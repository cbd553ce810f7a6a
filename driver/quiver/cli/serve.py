"""`driver serve`: many clients, one driver."""

from __future__ import annotations

from quiver.serve.settings import DriverSettings
from quiver_proto.settings import command


def _run(settings: DriverSettings) -> int:
    from quiver.serve.server import run

    return run(settings)


serve = command(
    DriverSettings,
    _run,
    """Host sessions for remote clients: Context("quiver-driver://host:port").

    All clients share one application: its executors, its cache and its UI. A client whose connection breaks may come back; one that
    stays silent has its jobs cancelled.""",
)
