"""How object stores are asked: from a session's settings and the options of a reader or writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from quiver.sql.errors import IllegalArgumentException
from quiver_proto.store_options import StoreOptionRefused, StoreOptions, store_options

if TYPE_CHECKING:
    from quiver.sql.session import Session


def store_access(session: Session, options: Mapping[str, str]) -> StoreOptions:
    """Settings `spark.hadoop.fs.s3a.…` and `fs.s3a.…`, and over them options of the same names. Raises IllegalArgumentException."""
    try:
        return store_options(session.conf.getAll, options)
    except StoreOptionRefused as problem:
        raise IllegalArgumentException(str(problem)) from None
