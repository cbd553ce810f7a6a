"""The `manager` daemon: `python -m quiver_manager`."""

from __future__ import annotations

from quiver_manager.journal import Journal
from quiver_manager.service import ManagerDaemon
from quiver_manager.settings import ManagerSettings
from quiver_proto.auth import find_secret
from quiver_proto.services import Manager
from quiver_proto.serving import serve
from quiver_proto.settings import command

_HELP = """The cluster manager: keeps nodes and applications, and decides who gets which executors.

Applications keep running while it is down; started again with the same journal it goes on where it was. The cluster's secret is
made at the first start: nodes and drivers on other machines need a copy of it.
"""


def run(settings: ManagerSettings) -> int:
    """Serve until told to end; the exit code."""
    secret = find_secret(settings.secret_file, create=True)
    journal = Journal(settings.journal_path)
    try:
        daemon = ManagerDaemon(journal, settings.policy(), secret, settings.tls)
        return serve(settings, secret, [(Manager, daemon)], daemon)
    finally:
        journal.close()


main = command(ManagerSettings, run, _HELP)

if __name__ == "__main__":
    main()
