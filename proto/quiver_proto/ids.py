"""Identifiers. Strings travel between machines and appear on pages; integers are dense and local to one application."""

from __future__ import annotations

import os
import time
from typing import NewType

ApplicationId = NewType("ApplicationId", str)
NodeId = NewType("NodeId", str)
ExecutorId = NewType("ExecutorId", str)

JobId = NewType("JobId", int)
StageId = NewType("StageId", int)
ShuffleId = NewType("ShuffleId", int)
DatasetId = NewType("DatasetId", int)
TaskId = NewType("TaskId", int)
"""One attempt at one task: unique in its application, never reused, so a late report can always be told from a current one."""

LOCAL_NODE = NodeId("localhost")
LOCAL_EXECUTOR = ExecutorId("driver")


def new_application_id() -> ApplicationId:
    """`app-20261121-063545-1a2b3c`: sorts by start time and is unique across drivers."""
    return ApplicationId(f"app-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}")


def new_node_id(host: str) -> NodeId:
    """`node-<host>-1a2b3c`: fresh at every start of a node daemon, so a restarted daemon is never mistaken for its predecessor."""
    return NodeId(f"node-{host}-{os.urandom(3).hex()}")


def new_executor_id(application: ApplicationId, number: int) -> ExecutorId:
    """`<application>/<number>`: numbered from 0 within its application, never reused."""
    return ExecutorId(f"{application}/{number}")
