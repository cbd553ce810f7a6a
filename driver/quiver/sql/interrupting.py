"""The part of Session that tags and interrupts queries. Tags belong to the thread that adds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiver.sql.errors import IllegalArgumentException

if TYPE_CHECKING:
    from quiver.sql.session_state import SessionState


class Interrupting:
    """Base of Session."""

    _state: SessionState

    def addTag(self, tag: str) -> None:
        """Give this thread's next queries in this session one more tag, for interruptTag. Having it already is no error.

        Raises IllegalArgumentException (a ValueError) for a tag that is empty or has a comma.

        >>> spark.addTag("nightly"); spark.addTag("blue"); sorted(spark.getTags())
        ['blue', 'nightly']
        >>> spark.clearTags()
        """
        self._set_tags({*self.getTags(), _tag(tag)})

    def removeTag(self, tag: str) -> None:
        """Take a tag from this thread's next queries; one that they don't have is no error. Raises as addTag.

        >>> spark.addTag("nightly"); spark.removeTag("nightly"); spark.getTags()
        set()
        """
        self._set_tags(self.getTags() - {_tag(tag)})

    def getTags(self) -> set[str]:
        """The tags of this thread's next queries.

        >>> spark.addTag("nightly"); spark.getTags()
        {'nightly'}
        >>> spark.clearTags()
        """
        text = self._state.context.getLocalProperty(self._state.runtime.executions.tags_key)
        return set(text.split(",")) if text else set()

    def clearTags(self) -> None:
        """This thread's next queries have no tags.

        >>> spark.addTag("nightly"); spark.clearTags(); spark.getTags()
        set()
        """
        self._set_tags(set())

    def interruptAll(self) -> list[str]:
        """Cancel all queries of this session that run; the ids of those. Who waits for one gets JobCancelled.

        >>> spark.interruptAll()
        []
        """
        return self._state.runtime.executions.interrupt(lambda execution: True, "the session's queries were interrupted")

    def interruptTag(self, tag: str) -> list[str]:
        """Cancel the running queries of this session that have this tag; the ids of those. Raises as addTag.

        >>> spark.interruptTag("nobody's")
        []
        """
        wanted = _tag(tag)
        return self._state.runtime.executions.interrupt(
            lambda execution: wanted in execution.tags, f"queries of this session with tag {wanted} were interrupted"
        )

    def interruptOperation(self, op_id: str) -> list[str]:
        """Cancel the query with this id, as interruptAll and the SQL page tell it; its id in a list, which is empty if it does not run.

        >>> spark.interruptOperation("12345")
        []
        """
        return self._state.runtime.executions.interrupt(
            lambda execution: str(execution.query_id) == op_id, f"query {op_id} was interrupted"
        )

    def _set_tags(self, tags: set[str]) -> None:
        self._state.context.setLocalProperty(self._state.runtime.executions.tags_key, ",".join(sorted(tags)) or None)


def _tag(tag: str) -> str:
    if not isinstance(tag, str) or not tag or "," in tag:
        raise IllegalArgumentException(f"a tag is a non-empty string without commas, not {tag!r}")
    return tag
