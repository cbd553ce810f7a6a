"""What a driver leaves in the folder for temporary files when it is killed in the middle: nothing, once another has run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys
from quiver import Conf, Context
from quiver.sql import Session

conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", sys.argv[1]).set("spark.ui.enabled", "false")
with Session(Context("inline", "test", conf=conf)) as spark:
    files = spark.read.parquet(sys.argv[2])
    made = spark.context.parallelize([(1,), (2,)]).toDF("id bigint")
    assert files.join(made, "id").count() == 2
    if len(sys.argv) > 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_folders_go_with_their_driver(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [1, 2, 3]}), tmp_path / "a.parquet")
    place = tmp_path / "temporary"
    place.mkdir()

    def run(*arguments: str) -> int:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "events"), str(tmp_path / "a.parquet"), *arguments]
        return subprocess.run(command, env={**os.environ, "TMPDIR": str(place)}, check=False).returncode

    def left() -> list[Path]:
        return [path for path in place.rglob("*") if path.is_symlink() or path.suffix == ".arrow" or "mirror" in path.name]

    assert run("killed") == -signal.SIGKILL
    assert left()
    assert run() == 0
    assert left() == []
