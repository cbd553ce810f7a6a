"""Resources besides cores and memory: what executors offer, and what tasks of a stage ask for."""

from __future__ import annotations

from quiver_proto.resource import ResourceInformation

__all__ = ["ResourceInformation"]
