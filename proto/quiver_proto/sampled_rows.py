"""A sample of the rows of Arrow batches."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiver_proto.functions import geometric

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class SampleRows:
    """(how many rows, up to `limit` of them as tuples, drawn evenly) of a partition's batches: SampleKeys, for rows in columns.

    The same at every attempt.
    """

    limit: int

    def __call__(self, partition: int, batches: Iterator[pa.RecordBatch]) -> tuple[int, list[tuple[Any, ...]]]:
        import pyarrow as pa

        chance = random.Random(partition)
        reservoir: list[tuple[Any, ...]] = []
        weight = 1.0
        seen = due = 0
        for batch in batches:
            places: list[int] = []
            while due < seen + batch.num_rows:
                places.append(due - seen)
                due += 1
                if len(reservoir) + len(places) >= self.limit:
                    weight *= chance.random() ** (1 / self.limit)
                    due += geometric(chance, weight)
            seen += batch.num_rows
            chosen = batch.take(pa.array(places, pa.int64()))
            for row in zip(*(column.to_pylist() for column in chosen.columns), strict=True):
                if len(reservoir) < self.limit:
                    reservoir.append(row)
                else:
                    reservoir[chance.randrange(self.limit)] = row
        return seen, reservoir
