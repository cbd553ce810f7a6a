"""Settings of one session, which may change while it runs."""

from __future__ import annotations

import re
from typing import Any

from quiver.conf import KEYS, Conf, check
from quiver.sql.errors import (
    AnalysisException,
    IllegalArgumentException,
    PySparkTypeError,
    SparkNoSuchElementException,
    UnsupportedOperationException,
)
from quiver.sql.local_zone import kernel_zone, local_zone
from quiver.sql.sizing import sizing
from quiver_proto.errors import ConfigurationError

ANSI = "spark.sql.ansi.enabled"
ZONE = "spark.sql.session.timeZone"
_FIXED = {
    ANSI: (
        "true",
        "values that can't be computed are errors. For nulls in their place use try_divide, try_add, try_subtract, try_multiply, try_mod, "
        "try_cast, try_element_at, get, try_to_timestamp or try_to_date.",
        "UNSUPPORTED_FEATURE.ANSI_OFF",
    ),
    "spark.sql.caseSensitive": (
        "false",
        "names that differ only in case are one name. Rename one of them.",
        "UNSUPPORTED_FEATURE.CASE_SENSITIVE_NAMES",
    ),
    "spark.sql.mapKeyDedupPolicy": (
        "EXCEPTION",
        "a map with a key twice is an error. Drop duplicates before the map is made.",
        "UNSUPPORTED_FEATURE.MAP_KEY_DEDUP_POLICY",
    ),
    "spark.sql.timestampType": (
        "TIMESTAMP_LTZ",
        "a timestamp is an instant. Say timestamp_ntz in schemas and casts for one without a zone.",
        "UNSUPPORTED_FEATURE.TIMESTAMP_TYPE",
    ),
}
"""Settings of Spark by which queries mean something else, with the value that holds: other values are refused."""
_DEFAULTS = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.repl.eagerEval.enabled": "false",
    "spark.sql.repl.eagerEval.maxNumRows": "20",
    "spark.sql.repl.eagerEval.truncate": "20",
    "spark.sql.sources.default": "parquet",
    "spark.sql.sources.partitionOverwriteMode": "STATIC",
}
_ALWAYS = {
    **{key.name: key.default for key in KEYS if key.default and key.name.startswith("spark.sql.")},
    **{key: value for key, (value, _, _) in _FIXED.items()},
}
"""What holds unless it is set otherwise: told to who asks without a default of his own."""
_MISSING = object()
_KNOWN = frozenset(name for key in KEYS for name in (key.name, *key.aliases))
_WHOLE = (
    "spark.sql.files.maxRecordsPerFile",
    "spark.sql.execution.arrow.maxRecordsPerBatch",
    "spark.sql.repl.eagerEval.maxNumRows",
    "spark.sql.repl.eagerEval.truncate",
)


class RuntimeConfig:
    """`spark.conf`: what was set here, over the settings of the application.

    >>> spark.conf.set("my.key", True)
    >>> spark.conf.get("my.key"), spark.conf.get("no.key", "none")
    ('true', 'none')
    >>> spark.conf.unset("my.key")
    >>> spark.conf.get("my.key", None) is None
    True
    """

    def __init__(self, conf: Conf) -> None:
        for key, (value, _, _) in _FIXED.items():
            _check_meaning(key, conf.get(key) or value)
        self._application = conf
        self._values: dict[str, str] = {}

    def set(self, key: str, value: str | int | bool) -> None:
        """From now on. Raises AnalysisException CANNOT_MODIFY_CONFIG for settings of the application, such as its master,
        IllegalArgumentException for an unknown time zone or a value that is none for its key, BadSetting for an unknown `quiver.*` key,
        UnsupportedOperationException for a meaning that queries don't have here, as without ANSI mode."""
        if not isinstance(value, str | int | bool):
            raise PySparkTypeError(f"Argument `value` should be a bool, int or str, got {type(value).__name__}.", "NOT_BOOL_OR_INT_OR_STR")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not self.isModifiable(key):
            raise AnalysisException(
                f"Cannot modify the value of the Spark config: {key!r}. Set it before the application starts.", "CANNOT_MODIFY_CONFIG"
            )
        _check_meaning(key, text)
        if key == ZONE:
            _check_zone(text)
        elif key.startswith("spark.sql."):
            _check_value(key, text)
        else:
            check(key, text)
        self._values[key] = text

    def get(self, key: str, default: Any = _MISSING) -> Any:
        """The value as text, or `default`. Raises SparkNoSuchElementException SQL_CONF_NOT_FOUND when there is neither."""
        known = self._values.get(key)
        if known is None:
            known = self._application.get(key) or (local_zone() if key == ZONE else _DEFAULTS.get(key))
        if known is None and default is _MISSING:
            known = _ALWAYS.get(key)
        if known is not None:
            return known
        if default is _MISSING:
            raise SparkNoSuchElementException(
                f"The SQL config {key!r} cannot be found. Please verify that the config exists.", "SQL_CONF_NOT_FOUND"
            )
        return default

    def unset(self, key: str) -> None:
        """As if it had not been set here."""
        self._values.pop(key, None)

    def zone(self) -> str:
        """The session's time zone, as the kernel and zoneinfo name it."""
        name = self._values.get(ZONE) or self._application.get(ZONE)
        return kernel_zone(name) if name else local_zone()

    def reset(self) -> None:
        """As if nothing had been set here."""
        self._values.clear()

    @property
    def getAll(self) -> dict[str, str]:
        """All that were set, here and for the application."""
        return {**dict(self._application.getAll()), **self._values}

    def isModifiable(self, key: str) -> bool:
        """Whether `set` has an effect: not for settings of the application.

        >>> spark.conf.isModifiable("spark.sql.session.timeZone"), spark.conf.isModifiable("spark.master")
        (True, False)
        """
        return key.startswith("spark.sql.") or not key.startswith(("spark.", "quiver."))


def _check_meaning(key: str, text: str) -> None:
    """Whether queries mean what the setting says. Raises UnsupportedOperationException, where Spark would give other answers."""
    fixed = _FIXED.get(key)
    if fixed is not None and text.strip().lower() != fixed[0].lower():
        raise UnsupportedOperationException(f"{key} is {fixed[0]} here and can't be set to {text!r}: {fixed[1]}", fixed[2])


def _check_value(key: str, text: str) -> None:
    """Here, and not when each later query fails of it."""
    sizing(lambda known, default: text if known == key else default, 1)
    if key in _KNOWN:
        try:
            check(key, text)
        except ConfigurationError as problem:
            raise IllegalArgumentException(str(problem), "INVALID_CONF_VALUE") from problem
    if key in _WHOLE and re.fullmatch(r"\s*-?\d+\s*", text) is None:
        raise IllegalArgumentException(f"{key} should be a whole number, got {text!r}.", "INVALID_CONF_VALUE")
    if key == "spark.sql.sources.partitionOverwriteMode" and text.strip().lower() not in ("static", "dynamic"):
        raise IllegalArgumentException(f"{key} should be STATIC or DYNAMIC, got {text!r}.", "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS")


def _check_zone(name: str) -> None:
    try:
        kernel_zone(name)
    except ValueError:
        raise IllegalArgumentException(
            f"Cannot resolve the given timezone {name!r}. Use a region such as Europe/Berlin, UTC, or an offset such as +01:00.",
            "INVALID_CONF_VALUE.TIME_ZONE",
        ) from None
