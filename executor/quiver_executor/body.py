"""What runs inside a slot: one stage's body, opened once and run for any number of tasks."""

from __future__ import annotations

from quiver_executor.environment import SlotEnvironment
from quiver_executor.stage import OpenStage
from quiver_proto.messages import AddStage

__all__ = ["OpenStage", "open_stage"]


def open_stage(stage: AddStage, env: SlotEnvironment) -> OpenStage:
    """The stage made ready to run in this process. Never raises: a body that can't be opened fails each of its tasks (kind FATAL)."""
    return OpenStage(stage, env)
