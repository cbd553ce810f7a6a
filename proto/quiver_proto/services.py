"""Every RPC there is: its name, its messages (dataclasses), and whether either side streams. A test holds this against the .proto files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from quiver_proto import cluster, cluster_status, messages, sessions

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(frozen=True)
class Method(Generic[Request, Reply]):
    """`service` and `name` as in the .proto file; `request` and `reply` are dataclasses (or a union of them, on the executor's stream)."""

    service: str
    name: str
    request: Any
    reply: Any

    @property
    def path(self) -> str:
        return f"/quiver.v1.{self.service}/{self.name}"

    @property
    def handler(self) -> str:
        """The name of the method that serves it: `RegisterNode` -> `register_node`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()


class Unary(Method[Request, Reply]):
    """One message each way. Served by `(request, context) -> reply`."""


class ServerStream(Method[Request, Reply]):
    """One message up, many down. Served by `(request, context) -> iterator of replies`."""


class BothStream(Method[Request, Reply]):
    """Many each way. Served by `(iterator of requests, context) -> iterator of replies`."""


class Manager:
    HANDSHAKE = Unary[cluster.Hello, cluster.HelloReply]("Manager", "Handshake", cluster.Hello, cluster.HelloReply)
    REGISTER_NODE = Unary[cluster.RegisterNode, cluster.NodeRegistered](
        "Manager", "RegisterNode", cluster.RegisterNode, cluster.NodeRegistered
    )
    NODE_HEARTBEAT = Unary[cluster.NodeHeartbeat, cluster.HeartbeatReply](
        "Manager", "NodeHeartbeat", cluster.NodeHeartbeat, cluster.HeartbeatReply
    )
    EXECUTOR_READY = Unary[cluster.ExecutorReady, cluster.Ack]("Manager", "ExecutorReady", cluster.ExecutorReady, cluster.Ack)
    EXECUTOR_EXITED = Unary[cluster.ExecutorExited, cluster.Ack]("Manager", "ExecutorExited", cluster.ExecutorExited, cluster.Ack)
    UNREGISTER_NODE = Unary[cluster.UnregisterNode, cluster.Ack]("Manager", "UnregisterNode", cluster.UnregisterNode, cluster.Ack)
    REGISTER_APPLICATION = Unary[cluster.RegisterApplication, cluster.ApplicationRegistered](
        "Manager", "RegisterApplication", cluster.RegisterApplication, cluster.ApplicationRegistered
    )
    APPLICATION_HEARTBEAT = Unary[cluster.ApplicationHeartbeat, cluster.HeartbeatReply](
        "Manager", "ApplicationHeartbeat", cluster.ApplicationHeartbeat, cluster.HeartbeatReply
    )
    UNREGISTER_APPLICATION = Unary[cluster.UnregisterApplication, cluster.Ack](
        "Manager", "UnregisterApplication", cluster.UnregisterApplication, cluster.Ack
    )
    SUBMIT_JOB = Unary[cluster.SubmitJob, cluster.Ack]("Manager", "SubmitJob", cluster.SubmitJob, cluster.Ack)
    JOB_ENDED = Unary[cluster.JobEnded, cluster.Ack]("Manager", "JobEnded", cluster.JobEnded, cluster.Ack)
    REQUEST_EXECUTORS = Unary[cluster.RequestExecutors, cluster.Ack]("Manager", "RequestExecutors", cluster.RequestExecutors, cluster.Ack)
    RELEASE_EXECUTOR = Unary[cluster.ReleaseExecutor, cluster.Ack]("Manager", "ReleaseExecutor", cluster.ReleaseExecutor, cluster.Ack)
    WATCH_APPLICATION = ServerStream[cluster.WatchApplication, cluster.ClusterEvent](
        "Manager", "WatchApplication", cluster.WatchApplication, cluster.ClusterEvent
    )
    GET_STATUS = Unary[cluster_status.GetStatus, cluster_status.ClusterStatus](
        "Manager", "GetStatus", cluster_status.GetStatus, cluster_status.ClusterStatus
    )
    DRAIN_NODE = Unary[cluster.DrainNode, cluster.Ack]("Manager", "DrainNode", cluster.DrainNode, cluster.Ack)


class Node:
    HANDSHAKE = Unary[cluster.Hello, cluster.HelloReply]("Node", "Handshake", cluster.Hello, cluster.HelloReply)
    LAUNCH_EXECUTOR = Unary[cluster.LaunchExecutor, cluster.Ack]("Node", "LaunchExecutor", cluster.LaunchExecutor, cluster.Ack)
    STOP_EXECUTOR = Unary[cluster.StopExecutor, cluster.Ack]("Node", "StopExecutor", cluster.StopExecutor, cluster.Ack)
    REMOVE_APPLICATION = Unary[cluster.RemoveApplication, cluster.Ack]("Node", "RemoveApplication", cluster.RemoveApplication, cluster.Ack)
    REMOVE_SHUFFLE = Unary[cluster.RemoveNodeShuffle, cluster.Ack]("Node", "RemoveShuffle", cluster.RemoveNodeShuffle, cluster.Ack)
    GET_NODE_STATUS = Unary[cluster.GetNodeStatus, cluster.NodeStatus]("Node", "GetNodeStatus", cluster.GetNodeStatus, cluster.NodeStatus)


class Executor:
    CONNECT = BothStream[messages.ToExecutor, messages.FromExecutor]("Executor", "Connect", messages.ToExecutor, messages.FromExecutor)


class DriverService:
    HANDSHAKE = Unary[cluster.Hello, cluster.HelloReply]("DriverService", "Handshake", cluster.Hello, cluster.HelloReply)
    OPEN_SESSION = Unary[sessions.OpenSession, sessions.SessionOpened](
        "DriverService", "OpenSession", sessions.OpenSession, sessions.SessionOpened
    )
    CLOSE_SESSION = Unary[sessions.CloseSession, cluster.Ack]("DriverService", "CloseSession", sessions.CloseSession, cluster.Ack)
    SESSION_HEARTBEAT = Unary[sessions.SessionHeartbeat, cluster.HeartbeatReply](
        "DriverService", "SessionHeartbeat", sessions.SessionHeartbeat, cluster.HeartbeatReply
    )
    EXECUTE_PLAN = ServerStream[sessions.ExecutePlan, sessions.PlanEvent](
        "DriverService", "ExecutePlan", sessions.ExecutePlan, sessions.PlanEvent
    )
    CANCEL_JOBS = Unary[sessions.CancelJobs, cluster.Ack]("DriverService", "CancelJobs", sessions.CancelJobs, cluster.Ack)
    SEND_BROADCAST = Unary[sessions.SendBroadcast, cluster.Ack]("DriverService", "SendBroadcast", sessions.SendBroadcast, cluster.Ack)
    RELEASE_BROADCAST = Unary[sessions.ReleaseBroadcast, cluster.Ack](
        "DriverService", "ReleaseBroadcast", sessions.ReleaseBroadcast, cluster.Ack
    )
    REPORT_ACCUMULATORS = Unary[sessions.ReportAccumulators, cluster.Ack](
        "DriverService", "ReportAccumulators", sessions.ReportAccumulators, cluster.Ack
    )
    REPORT_QUERY = Unary[sessions.ReportQuery, cluster.Ack]("DriverService", "ReportQuery", sessions.ReportQuery, cluster.Ack)
    RELEASE_SHUFFLE = Unary[sessions.ReleaseShuffle, cluster.Ack]("DriverService", "ReleaseShuffle", sessions.ReleaseShuffle, cluster.Ack)
    GET_JOBS_STATUS = Unary[sessions.AskStatus, sessions.StatusReport](
        "DriverService", "GetJobsStatus", sessions.AskStatus, sessions.StatusReport
    )
    UNPERSIST = Unary[sessions.Unpersist, cluster.Ack]("DriverService", "Unpersist", sessions.Unpersist, cluster.Ack)
    ASK_SIZES = Unary[sessions.AskSizes, sessions.MapSizes]("DriverService", "AskSizes", sessions.AskSizes, sessions.MapSizes)
    ASK_STORED = Unary[sessions.AskStored, sessions.Stored]("DriverService", "AskStored", sessions.AskStored, sessions.Stored)


def methods_of(service: type) -> list[Method[Any, Any]]:
    """The methods of Manager, Node, Executor or DriverService."""
    return [value for value in vars(service).values() if isinstance(value, Method)]


SERVICES: tuple[type, ...] = (Manager, Node, Executor, DriverService)
