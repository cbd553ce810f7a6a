"""What `quiver status` shows of a manager's answer."""

from __future__ import annotations

import pytest

from quiver.cli.status import as_text, ask
from quiver_proto.cluster_status import ApplicationRow, ClusterStatus, ExecutorRow, NodeStatusRow
from quiver_proto.errors import BadMasterUrl
from quiver_proto.ids import ApplicationId, ExecutorId, NodeId

URL = "quiver://127.0.0.1:7077"


def test_an_empty_cluster_says_what_to_do() -> None:
    text = as_text(URL, ClusterStatus(1, 100.0, {"quiver": "1.2"}), 175.0)
    assert text.splitlines()[0] == f"Manager {URL} · Quiver 1.2 · up 1 min 15 s"
    assert f"Nodes: none; start some: executor --manager {URL}" in text
    assert f"driver run --master {URL} app.py" in text


def test_tables_and_the_reason_of_what_waits() -> None:
    app = ApplicationId("app-1")
    node = NodeStatusRow(NodeId("node-a"), "a", "a:1", "a:2", "alive", 4, 3, 8 << 30, 2 << 30, 0.4)
    row = ApplicationRow(app, "words", "me", "here", "waiting", "no node has 9 free cores", 1, 2, 3, 90.0, "", 5)
    executor = ExecutorRow(ExecutorId("app-1/0"), app, NodeId("node-a"), "running", 3, 2 << 30, "a:3")
    lines = as_text(URL, ClusterStatus(1, 100.0, {}, (node,), (row,), (executor,)), 100.0).splitlines()
    assert "Nodes (1)" in lines
    assert "  node-a  a     alive  3/4         2.0 GiB/8.0 GiB  400 ms ago" in lines
    assert "  app-1        words  me    waiting  1/2        3      5     10.0 s" in lines
    assert "  app-1 waits: no node has 9 free cores" in lines
    assert "  app-1/0   node-a  running  3      2.0 GiB  a:3" in lines


@pytest.mark.parametrize("url", ["local[2]", "quiver-driver://h:1", "nonsense"])
def test_only_managers_can_be_asked(url: str) -> None:
    with pytest.raises(BadMasterUrl):
        ask(url)
