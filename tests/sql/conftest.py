"""Sessions for this folder, and TPC-H's tables at a hundredth of their smallest size.

`spark` is a session of its own for each module, on a Context that modules share: starting executors costs more than most tests. A
module starts a Context itself only for settings of the application, or to test the Context.
"""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.metastore import DEFAULT

Sessions = Callable[[str], AbstractContextManager[Session]]


@pytest.fixture(scope="session")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `<table>.parquet` of each table, scale factor 0.01."""
    folder = tmp_path_factory.mktemp("tpch")
    program = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
    subprocess.run([program, "parquet", "-s", "0.01", f"--output-dir={folder}"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """`shared(master)`: a new session on the one Context of that master. After it nothing of it is left: views, tables, kept rows.

    Between its turns a Context sleeps: it is not the program's active one, so that other modules may start their own.
    """
    contexts: dict[str, Context] = {}

    @contextmanager
    def turn(master: str) -> Iterator[Session]:
        context = contexts.get(master)
        if context is None or context._stopped:
            conf = Conf(loadDefaults=False).set("spark.ui.enabled", "false")
            conf.set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events")))
            conf.set("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
            context = contexts[master] = made.enter_context(Context(master, "test", conf=conf))
        Context._active = context
        session = Session(context)
        try:
            yield session
            forget_all(session)
        finally:
            Context._active = Session._default = Session._threads.session = None

    with ExitStack() as made:
        yield turn


def forget_all(session: Session) -> None:
    """What sessions of a Context share goes."""
    session.catalog.clearCache()
    store = session._state.store
    for database in store.databases():
        if database.name != DEFAULT:
            store.drop_database(database.name, cascade=True)
    for table in store.tables(DEFAULT):
        store.drop_table(DEFAULT, table.name)
    store.global_views.clear()


@pytest.fixture(scope="module", params=["inline", "local[2]"])
def spark(request: pytest.FixtureRequest, shared: Sessions) -> Iterator[Session]:
    with shared(request.param) as session:
        yield session
