"""Where PySpark has the contexts of tasks."""

from quiver_proto.task_context import BarrierTaskContext, BarrierTaskInfo, TaskContext

__all__ = ["BarrierTaskContext", "BarrierTaskInfo", "TaskContext"]
