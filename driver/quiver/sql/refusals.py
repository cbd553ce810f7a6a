"""Names of PySpark that are there to say why they can't be, and what to use instead."""

from __future__ import annotations

from typing import Any

from quiver.sql.errors import UnsupportedOperationException

STREAMS = "there are no streaming queries. Read what is there now with `spark.read`"


class NotOffered:
    """A method or property whose use raises UnsupportedOperationException with `why`; `called`: not before it is called."""

    def __init__(self, why: str, called: bool = True) -> None:
        self.why, self._called = why, called
        self.__doc__ = f"Not offered: {why}."

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if not self._called:
            raise self._error()

        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise self._error()

        return refuse

    def _error(self) -> UnsupportedOperationException:
        return UnsupportedOperationException(f"{self._name} is not offered: {self.why}.", "NOT_IMPLEMENTED")
