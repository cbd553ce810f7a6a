"""A PostgreSQL server as source and target: where its programs are installed, one of its own runs in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException

ALL = """
    SELECT id, cast(id AS int) AS i, cast(id AS short) AS s, id * 1.5D AS d, cast(id AS decimal(10,2)) AS dc, 'a\\tb\\\\:n' || id AS t,
    timestamp'2024-01-02 03:04:05.678901' AS ts, date'1500-01-01' AS dt, id % 2 = 0 AS b, cast('ab' AS binary) AS bin,
    cast(1.5 AS float) AS f, if(id = 3, null, id) AS n FROM range(10)
"""


def _programs() -> Path | None:
    found = [Path(shutil.which("initdb") or "/nowhere"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    return next((path.resolve().parent for path in found if path.exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its URL: a socket in a folder, no port."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")  # A socket's path is short.
    os.chmod(folder, 0o777)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user
        )

    try:
        try:
            run("initdb", "-D", f"{folder}/data", "-U", "me", "--auth=trust", "-N", "--encoding=UTF8", "--locale=C")
            run(
                "pg_ctl",
                "-D",
                f"{folder}/data",
                "-w",
                "-l",
                f"{folder}/log",
                "-o",
                f"-k {folder} -c listen_addresses= -c fsync=off",
                "start",
            )
        except (subprocess.CalledProcessError, PermissionError, LookupError) as problem:
            pytest.skip(f"PostgreSQL does not start here: {problem}")
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
        run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def spark(server: str, shared: Callable[[str], AbstractContextManager[Session]]) -> Iterator[Session]:
    with shared("local[2]") as session:
        yield session


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(f"host={url.rpartition('=')[2]} user=me dbname=postgres", autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_what_is_written_comes_back(spark: Session, server: str) -> None:
    df = spark.sql(ALL)
    df.write.option("numPartitions", 1).jdbc(server, "t")
    back = spark.read.jdbc(server, "t")
    assert back.dtypes == df.dtypes
    assert sorted(back.collect()) == sorted(df.collect())
    assert back.where("id > 3 AND dc < 6 AND b").select("i").collect() == [(4,)]
    assert spark.read.jdbc(server, "t", column="id", lowerBound=0, upperBound=10, numPartitions=3).count() == 10
    assert spark.read.jdbc(server, "t", column="ts", lowerBound="2024-01-01", upperBound="2024-02-01", numPartitions=3).count() == 10
    execute(server, "CREATE INDEX kept ON t (id)")
    df.limit(4).write.option("truncate", True).jdbc(server, "t", "overwrite")
    df.limit(2).write.jdbc(server, "t", "append")
    assert execute(server, "SELECT count(*) FROM t") == [(6,)]
    assert execute(server, "SELECT indexname FROM pg_indexes WHERE tablename = 't'") == [("kept",)]
    spark.range(2).write.option("createTableColumnTypes", "id NUMERIC(5, 1)").jdbc(server, "typed")
    assert spark.read.jdbc(server, "typed").dtypes == [("id", "decimal(5,1)")]


def test_types_of_queries_are_told_by_the_database(spark: Session, server: str) -> None:
    execute(server, "CREATE SCHEMA s")
    execute(server, 'CREATE TABLE s."Mixed Case" (a int, e timestamptz, f timestamp, z time, o text[])')
    execute(server, "INSERT INTO s.\"Mixed Case\" VALUES (1, '2024-01-01 00:00:00+00', '2024-01-01', '01:02', array['x'])")
    assert spark.read.jdbc(server, 's."Mixed Case"').dtypes == [
        ("a", "int"), ("e", "timestamp"), ("f", "timestamp"), ("z", "string"), ("o", "string"),
    ]  # fmt: skip
    query = """SELECT null::smallint AS k, 1.25::numeric(6,3) AS q, '{"a":1}'::jsonb AS j, 'x:y %' AS c WHERE ':n' <> '%'"""
    found = spark.read.format("jdbc").options(url=server, query=query).load()
    assert found.dtypes == [("k", "smallint"), ("q", "decimal(6,3)"), ("j", "string"), ("c", "string")]
    assert [str(value) for value in found.collect()[0]] == ["None", "1.250", '{"a": 1}', "x:y %"]
    naive = spark.read.option("preferTimestampNTZ", True).jdbc(server, '(SELECT f FROM s."Mixed Case") AS q')
    assert naive.selectExpr("typeof(f)", "cast(f AS string)").collect() == [("timestamp_ntz", "2024-01-01 00:00:00")]


def test_what_is_refused(spark: Session, server: str) -> None:
    spark.range(2).write.jdbc(server, "r")
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        spark.range(1).selectExpr("id AS a", "id AS A").write.jdbc(server, "twice")
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        spark.read.jdbc(server, "(SELECT 1 AS a, 2 AS a) q")
    with pytest.raises(AnalysisException, match=r"FAILED_JDBC.*nope"):
        spark.read.jdbc(server, "nope")
    for statement, problem in (("SELECT 'a' AS id", "bigint"), ("SELECT 1 DIV (id - 1) AS id FROM range(3)", "DIVIDE_BY_ZERO")):
        with pytest.raises(Exception, match=problem):
            spark.sql(statement).write.jdbc(server, "r", "append")
    with pytest.raises(SparkRuntimeException, match="NUL"):
        spark.createDataFrame([("a\0",)], "s string").write.jdbc(server, "nul")
    for options in ({"createTableColumnTypes": "nope INT"}, {"createTableOptions": "TABLESPACE x"}):
        with pytest.raises(IllegalArgumentException, match=next(iter(options))):
            spark.range(1).write.options(**options).jdbc(server, "q")
    assert execute(server, "SELECT count(*) FROM r") == [(2,)]
    names = {name for (name,) in execute(server, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert not [name for name in names if name.startswith("quiver_staging")]
