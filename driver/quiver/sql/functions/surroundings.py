"""What a query runs in: its session, its user."""

from __future__ import annotations

from quiver.sql import types as t
from quiver.sql.column import Column
from quiver.sql.functions.arguments import call
from quiver.sql.tree import expressions as e

__all__ = [
    "current_catalog",
    "current_database",
    "current_path",
    "current_schema",
    "current_timezone",
    "current_user",
    "session_user",
    "user",
    "version",
]


def current_catalog() -> Column:
    """The name of the session's catalog.

    >>> spark.range(1).select(F.current_catalog()).first()[0]
    'spark_catalog'
    """
    return call("current_catalog")


def current_database() -> Column:
    """The database that names of tables without one mean.

    >>> spark.range(1).select(F.current_database()).first()[0]
    'default'
    """
    from quiver.sql.session import Session

    active = Session.getActiveSession()
    name = "default" if active is None else active.catalog.currentDatabase()
    return call("current_schema", e.Literal(name, t.StringType()))


def current_schema() -> Column:
    """As current_database.

    >>> spark.range(1).select(F.current_schema()).first()
    Row(current_schema()='default')
    """
    return current_database()


def current_path() -> Column:
    """Where functions and tables of one name are looked for, in this order.

    >>> spark.range(1).select(F.current_path()).first()[0]
    'system.builtin,system.session,spark_catalog.default'
    """
    return call("current_path", *current_database()._expression.args)  # type: ignore[attr-defined]


def current_timezone() -> Column:
    """The session's time zone.

    >>> spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    >>> spark.range(1).select(F.current_timezone()).first()[0]
    'Asia/Tokyo'
    >>> spark.conf.unset("spark.sql.session.timeZone")
    """
    return call("current_timezone")


def current_user() -> Column:
    """Whom the driver's process runs as.

    >>> import getpass
    >>> spark.range(1).select(F.current_user()).first()[0] == getpass.getuser()
    True
    """
    return call("current_user")


def user() -> Column:
    """As current_user.

    >>> spark.range(1).select(F.user() == F.current_user()).first()[0]
    True
    """
    return call("user")


def session_user() -> Column:
    """As current_user.

    >>> spark.range(1).select(F.session_user() == F.current_user()).first()[0]
    True
    """
    return call("session_user")


def version() -> Column:
    """The version of Spark whose meaning functions have, and of Quiver.

    >>> spark.range(1).select(F.version()).first()[0].split()[0]
    '4.3.0'
    """
    return call("version")
