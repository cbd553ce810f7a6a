"""Map outputs with typed columns: every piece can be read by itself, from this node and from others."""

from __future__ import annotations

import os
from array import array
from typing import Any

import pyarrow as pa
import pytest
from body_bench import Bench

from quiver_executor import fragment, fragment_files
from quiver_executor.exchange_read import LocalOutputs, _ranges
from quiver_executor.fragment_files import Pieces
from quiver_executor.shuffle_files import index_of, open_regular
from quiver_executor.task import Task
from quiver_proto import blocks
from quiver_proto.ids import ShuffleId
from quiver_proto.messages import MapOutputTable
from quiver_proto.v1.kernel_pb2 import Plan

SCHEMA = pa.schema([("k", pa.int64()), ("s", pa.string_view())])


def test_a_piece_after_empty_ones_has_none_of_the_files_head(bench: Bench) -> None:
    """Arrow's writer begins the file with the first batch: the piece that has it must not claim what stands before."""
    pieces = Pieces(Task(bench.env, (), (), None, {}, {}, 1, 0, 0), SCHEMA, 4, 7)
    for piece in (1, 3):
        pieces.add(piece, pa.record_batch({"k": [piece] * 3, "s": ["a", None, "long enough to lie outside of the view"]}, SCHEMA))
    path, sizes, _ = pieces.commit()
    lengths = array("Q", sizes)
    assert [length > 0 for length in lengths] == [False, True, False, True]
    with open(path, "rb") as file:
        data = file.read()
    index = index_of(path, descriptor := open_regular(path))
    for piece in (1, 3):
        entry = blocks.unpack_entry(index.raw_entry(descriptor, piece), path)
        stream = SCHEMA.serialize().to_pybytes() + data[entry.offset : entry.offset + entry.length]
        assert pa.ipc.open_stream(stream).read_all().column("k").to_pylist() == [piece] * 3


def test_nothing_at_all_with_long_names(bench: Bench) -> None:
    """Without a batch the whole schema comes behind the index."""
    schema = pa.schema([(f"{number} {'name ' * 400}", pa.int64()) for number in range(9)])
    path, sizes, _ = Pieces(Task(bench.env, (), (), None, {}, {}, 1, 0, 0), schema, 4, 8).commit()
    assert list(array("Q", sizes)) == [0, 0, 0, 0]
    index = index_of(path, descriptor := open_regular(path))
    assert [blocks.unpack_entry(index.raw_entry(descriptor, piece), path).length for piece in range(4)] == [0, 0, 0, 0]


def test_a_single_piece_is_written_as_it_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment_files, "_SINGLE_BYTES", 20_000)
    task = Task(bench.env, (), (), None, {}, {}, 3, 0, 0)
    batches = [pa.record_batch({"k": list(range(number, number + 1000)), "s": ["x" * 20] * 1000}, SCHEMA) for number in range(5)]
    pieces = Pieces(task, SCHEMA, 1, 9)
    for batch in batches:
        pieces.add(0, batch)
    assert pieces._held_bytes < 40_000
    path, sizes, written = pieces.commit()
    (length,) = array("Q", sizes)
    assert 0 < length < written == os.path.getsize(path)
    assert pieces.records == 5000
    assert pa.ipc.open_file(path).read_all().equals(pa.Table.from_batches(batches))
    given_up = Pieces(task, SCHEMA, 1, 10)
    given_up.add(0, batches[0])
    given_up.add(0, batches[0])
    assert len(bench.leftovers()) == 1
    task.close()
    assert not bench.leftovers()
    assert os.path.exists(path)


def test_batches_of_files_are_of_few_bytes_and_rows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragment_files, "_MOST_BYTES", 1000)
    task = Task(bench.env, (), (), None, {}, {}, 1, 0, 0)
    wide = pa.record_batch({"k": list(range(50)), "s": ["x" * 92] * 49 + ["y" * 3000]}, pa.schema([("k", pa.int64()), ("s", pa.string())]))
    for rows, most in ((0, 7), (3, 3)):
        pieces = Pieces(task, wide.schema, 1, 12 + rows, rows)
        pieces.add(0, wide)
        file = pa.ipc.open_file(pieces.commit()[0])
        assert file.read_all().equals(pa.Table.from_batches([wide]))
        assert max(file.get_batch(number).num_rows for number in range(file.num_record_batches)) <= most


@pytest.mark.parametrize("width", [1, 2])
def test_whole_outputs_are_read_batch_by_batch(bench: Bench, width: int) -> None:
    """Of a range the kernel reads all batches at once: merges of sorted runs held all of their rows."""
    task = Task(bench.env, (), (), None, {}, {}, 1, 0, 0)
    pieces = Pieces(task, SCHEMA, width, 11)
    for piece in range(width):
        pieces.add(piece, pa.record_batch({"k": [piece] * 3, "s": ["a", "b", "c"]}, SCHEMA))
    path, _, _ = pieces.commit()
    table = MapOutputTable(ShuffleId(11), width, [0], [1], ["node-a"], [path])
    (whole,) = LocalOutputs().add(task, table, 0, range(width), passing=False)
    assert not whole.HasField("range")
    if width > 1:
        (one,) = LocalOutputs().add(task, table, 0, range(1), passing=False)
        assert 0 < one.range.start < one.range.end < one.size


def test_parts_of_a_range_have_all_of_its_batches_once() -> None:
    found = list(_ranges(100, 100 + (5 << 20)))
    assert [found[0].start, *(each.end for each in found)] == [*(each.start for each in found), 100 + (5 << 20)]
    assert max(each.end - each.start for each in found) <= 2 << 20


def test_tasks_of_a_slot_share_a_session_until_one_fails(bench: Bench) -> None:
    task = Task(bench.env, (), (), None, {}, {}, 1, 0, 0)
    first = fragment._session(task, ())
    assert fragment._session(task, ()) is first
    assert fragment._session(task, (("datafusion.execution.batch_size", "1024"),)) is not first

    unused: Any = None
    with pytest.raises(ValueError, match="broken"), fragment._Planned(Plan(), LocalOutputs(), unused, unused, unused, 0).running():
        raise ValueError("broken")
    assert fragment._session(task, ()) is not first
