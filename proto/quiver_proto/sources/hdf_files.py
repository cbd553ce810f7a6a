"""Readers of HDF5 files as pandas writes them."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver_proto.errors import FileUnreadable
from quiver_proto.sources.packages import needed
from quiver_proto.text_formats.text_input import Piece

if TYPE_CHECKING:
    import pyarrow as pa

_HARMLESS = frozenset(
    {
        ("numpy", "dtype"), ("numpy", "ndarray"), ("numpy._core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar"), ("datetime", "date"), ("datetime", "datetime"),
    }
)  # fmt: skip


class _Plain(pickle.Unpickler):
    """pandas keeps names and texts as pickles inside of HDF5. Only arrays and plain values are opened: data is no program."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it holds a pickled {module}.{name}, which is not opened")
        return super().find_class(module, name)


class _PlainPickle:
    """Stands where PyTables has the module pickle."""

    UnpicklingError = pickle.UnpicklingError
    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL
    dumps = staticmethod(pickle.dumps)

    @staticmethod
    def loads(data: bytes, **options: Any) -> Any:
        return _Plain(io.BytesIO(data), **options).load()


@dataclass(frozen=True, slots=True)
class HdfTables:
    """Rows `start` to `start + length` of the table `key`."""

    key: str

    def read(self, part: Piece, schema: pa.Schema, wanted: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with _store(part.path) as store:
            frame = store.select(self.key, start=part.start, stop=part.start + part.length)
        table = _table(frame, part.path)
        known = [name for name in table.schema.names if name in wanted]
        if not known:
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * len(frame), pa.struct([])))
        yield from table.select(known).combine_chunks().to_batches() if known else ()


def rows_and_schema(path: str, key: str | None) -> tuple[str, int, pa.Schema]:
    """(the table's key, its rows, its columns). Without `key` there has to be one table. Raises FileUnreadable, PackageMissing."""
    with _store(path) as store:
        keys = [each.lstrip("/") for each in store.keys()]  # noqa: SIM118
        if key is None and len(keys) != 1:
            raise FileUnreadable(path, f"It has {len(keys)} tables: choose one by the option key: {', '.join(keys)}.")
        chosen = keys[0] if key is None else key.lstrip("/")
        if chosen not in keys:
            raise FileUnreadable(path, f"It has no table {chosen!r}, but {', '.join(keys) or 'none'}.")
        storer = store.get_storer(chosen)
        rows = storer.nrows if storer.is_table else storer.shape[0]
        frame = store.select(chosen, start=0, stop=1000)
    return chosen, int(rows), _table(frame, path).schema


def _table(frame: Any, path: str) -> pa.Table:
    import pyarrow as pa

    try:
        if frame.ndim == 1:
            frame = frame.to_frame(frame.name or "value")
        return pa.Table.from_pandas(frame, preserve_index=any(name is not None for name in frame.index.names)).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError, TypeError) as problem:
        raise FileUnreadable(path, f"{problem}.") from problem


@contextlib.contextmanager
def _store(path: str) -> Iterator[Any]:
    purpose = "Reading HDF5"
    tables = needed("tables", "tables", "hdf5", purpose)
    pandas = needed("pandas", "pandas", "hdf5", purpose)
    for module in ("tables.attributeset", "tables.atom"):
        setattr(needed(module, "tables", "hdf5", purpose), "pickle", _PlainPickle)  # noqa: B010
    try:
        with pandas.HDFStore(path, mode="r") as store:
            yield store
    except FileNotFoundError as problem:
        raise FileUnreadable(path, "File does not exist.", "FAILED_READ_FILE.FILE_NOT_EXIST") from problem
    except (OSError, tables.HDF5ExtError, pickle.UnpicklingError, KeyError, ValueError, TypeError, AttributeError) as problem:
        raise FileUnreadable(path, str(problem).strip().partition("\n")[0] + ".") from problem
