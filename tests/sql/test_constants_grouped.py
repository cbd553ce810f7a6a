"""Windows without an order, and constants in grouping sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quiver import Conf, Context
from quiver.sql import Row, Session, Window
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    events: Path = tmp_path_factory.mktemp("events")
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(events)).set("spark.ui.enabled", "false")
    with Session(Context("inline", "test", conf=conf)) as session:
        yield session


def test_numbering_needs_an_order(spark: Session) -> None:
    for function in (F.row_number(), F.rank(), F.lag("id"), F.ntile(2)):
        with pytest.raises(AnalysisException, match="requires window to be ordered"):
            spark.range(3).select(function.over(Window.partitionBy("id")))
    assert spark.range(3).select(F.sum("id").over(Window.partitionBy())).first() == Row(3)


def test_a_constant_is_null_in_the_total_row(spark: Session) -> None:
    rows = spark.sql("SELECT DATE '2025-02-11' d, count(*) c FROM range(3) GROUP BY ROLLUP(DATE '2025-02-11') ORDER BY d").collect()
    assert [str(row.d) for row in rows] == ["None", "2025-02-11"]
    assert spark.sql("SELECT if(1 > 2, 'a', 'b')").columns == ["(IF((1 > 2), a, b))"]
