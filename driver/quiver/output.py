"""saveAsTextFile and saveAsPickleFile: staged by tasks, put in place once by the driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quiver_proto import frames, ops
from quiver_proto.errors import BadSetting
from quiver_proto.ops import CallSite

if TYPE_CHECKING:
    from quiver.rdd_core import RddCore

_CODECS = {
    "gzip": "gzip", "gz": "gzip", "GzipCodec": "gzip", "bzip2": "bz2", "bz2": "bz2", "BZip2Codec": "bz2",
    "zstd": "zstd", "zst": "zstd", "ZStandardCodec": "zstd", "ZstdCodec": "zstd",
}  # fmt: skip


def codec_of(name: str | None) -> str | None:
    """`gzip`, `bz2` or `zstd` for its own name or Hadoop's class name; None for None. Raises BadSetting."""
    if name is None:
        return None
    codec = _CODECS.get(str(name).rsplit(".", 1)[-1])
    if codec is None:
        raise BadSetting("compressionCodecClass", str(name), "must be gzip, bz2 or zstd, or None for plain text")
    return codec


def save_text(rdd: RddCore[Any], path: str, codec_name: str | None, call_site: CallSite) -> None:
    """Write every partition of `rdd` below `path`. Raises OutputExists before any task starts; a failed job leaves nothing."""
    codec = codec_of(codec_name)
    _save(rdd, path, lambda node, directory, job: ops.SaveText(node, directory, job, codec), call_site)


def save_pickles(rdd: RddCore[Any], path: str, batch: int, key: bytes, call_site: CallSite) -> None:
    """As `save_text`, but files of pickles, signed with `key`."""
    _save(rdd, path, lambda node, directory, job: ops.SavePickle(node, directory, job, batch, key), call_site)


def _save(rdd: RddCore[Any], path: str, sink: Callable[[ops.Node, str, str], ops.Sink], call_site: CallSite) -> None:
    from quiver_proto.committing import OutputJob, numbered
    from quiver_proto.files import COMPRESSED

    path = os.fspath(path)
    if "://" not in path:
        # A slot has a working directory of its own.
        path = os.path.abspath(path)
    rdd._context._check(call_site.operator)
    output = OutputJob(path)
    # Before anything is made: a directory that is refused is another's, and must not be cleaned up.
    output.prepare(new=True)
    try:
        names = rdd._context._run(rdd._dataset, lambda node: sink(node, path, output.name), call_site, with_index=True)
        output.commit(numbered([frames.load(name) for name in names], COMPRESSED))
    except BaseException:
        output.abort()
        raise
