"""Secrets that users write into statements and options, and names and values that try to leave their folders."""

from __future__ import annotations

import http.server
import logging
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from quiver import Conf, Context
from quiver.redacting import redacted
from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException
from quiver_proto.logs import JsonFormat, TextFormat
from quiver_proto.secret_texts import REDACTED, names_a_secret

SECRET = "hunter2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def spark(folder: Path) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(folder / "events")).set("spark.ui.enabled", "false")
    conf.set("spark.sql.warehouse.dir", str(folder / "outer/inner/warehouse"))
    conf.set("spark.hadoop.fs.s3a.secret.key", SECRET).set("spark.hadoop.fs.s3a.access.key", SECRET)
    with Session(Context("inline", "test", conf=conf)) as session:
        yield session


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("OPTIONS (password 'a''b', x 'y')", f"OPTIONS (password '{REDACTED}', x 'y')"),
        ("TBLPROPERTIES ('s3.secret.key' = \"a\", 'k'='v')", f"TBLPROPERTIES ('s3.secret.key' = \"{REDACTED}\", 'k'='v')"),
        ("map(`api_key` => 'a')", f"map(`api_key` => '{REDACTED}')"),
        ("'jdbc:x://h/d?user=u&password=a&b=c'", f"'jdbc:x://h/d?user=u&password={REDACTED}&b=c'"),
        ("cannot reach postgresql://u:p@ss@h:5/d", f"cannot reach postgresql://u:{REDACTED}@h:5/d"),
        ("'http://h/x?X-Amz-Signature=a%2F&n=1&sig=b=='", f"'http://h/x?X-Amz-Signature={REDACTED}&n=1&sig={REDACTED}'"),
        ("SELECT design=1, sigma=2", "SELECT design=1, sigma=2"),
        ("SELECT token, secret_id FROM t WHERE url = 'http://h:80/a@b'", "SELECT token, secret_id FROM t WHERE url = 'http://h:80/a@b'"),
    ],
)
def test_texts_without_secrets(text: str, shown: str) -> None:
    assert redacted(text) == redacted(shown) == shown


def test_names_of_secrets() -> None:
    secret = ["fs.s3a.secret.key", "fs.s3a.access.key", "accessKey", "PASSWORD", "passwd", "sessionToken", "account_key"]
    assert [name for name in secret if not names_a_secret(name)] == []
    assert not any(map(names_a_secret, ["url", "key", "keys", "dbtable", "quiver.sql.partitions"]))


@pytest.mark.parametrize("name", ["../../evil", "..", ".", "a/b", "/evil", "x.y", "a b", ""])
def test_names_stay_in_the_warehouse(name: str, spark: Session, folder: Path) -> None:
    before = sorted(folder.rglob("*evil*"))
    for statement in (f"CREATE TABLE `{name}` USING parquet AS SELECT 1 a", f"CREATE TABLE `{name}` (a INT) USING parquet",
                      f"CREATE DATABASE `{name}`", f"CREATE VIEW `{name}` AS SELECT 1 a"):  # fmt: skip
        with pytest.raises(AnalysisException) as caught:
            spark.sql(statement).collect()
        if name:
            assert caught.value.getCondition() == "INVALID_SCHEMA_OR_RELATION_NAME"
    with pytest.raises(AnalysisException):
        spark.range(1).write.saveAsTable(f"`{name}`")
    with pytest.raises(AnalysisException):
        spark.catalog.createDatabase(f"`{name}`")
    assert sorted(folder.rglob("*evil*")) == before


def test_partition_values_stay_in_their_folder(spark: Session, folder: Path) -> None:
    values = ["../../../evil", "..", ".", "a/b", "x=y", "%2e%2e", "\x00n", "a\nb", " ", "\\..\\x"]
    path = folder / "parted/out"
    frame = spark.createDataFrame(list(enumerate(values)), "i int, p string")
    frame.write.partitionBy("p").parquet(str(path))
    assert all(file.is_relative_to(path) for file in (folder / "parted").rglob("*.parquet"))
    assert list(folder.rglob("evil*")) == []
    assert dict(map(tuple, spark.read.schema("i int, p string").parquet(str(path)).collect())) == dict(enumerate(values))
    spark.createDataFrame([(1, "v")], ["i", "../../evil"]).write.partitionBy("../../evil").parquet(str(folder / "named/a/b"))
    assert {file.parent for file in folder.rglob("*evil=*")} == {folder / "named/a/b"}


def test_urls_of_databases(spark: Session) -> None:
    with pytest.raises(IllegalArgumentException, match="is no URL of a database") as caught:
        spark.read.jdbc(f"postgresql://me:{SECRET}@host:port/x", "t")
    assert SECRET not in str(caught.value)


def test_signatures_of_urls(spark: Session, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Are part of a path, which plans, errors, logs and the event log name."""
    signed = f"X-Amz-Signature={SECRET}1&sig={SECRET}2&token={SECRET}3&part=7"

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.endswith(signed)
            if self.path.startswith("/x.csv"):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"1\n2\n")
            else:
                self.send_error(403)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            df = spark.read.csv(f"{url}/x.csv?{signed}", schema="a INT")
            assert df.count() == 2
            df.explain(True)
            shown = capsys.readouterr().out
            for read in (spark.read.csv, spark.read.parquet):
                with pytest.raises(AnalysisException) as caught:
                    read(f"{url}/y?{signed}").collect()
                shown += "".join(traceback.format_exception(caught.value))
        finally:
            server.shutdown()
            thread.join()
    assert "part=7" in shown
    assert f"X-Amz-Signature={REDACTED}&sig={REDACTED}&token={REDACTED}&part=7" in shown
    assert SECRET not in shown.replace(__file__, "")
    record = logging.LogRecord("quiver.x", logging.WARNING, "", 0, f"failed at {url}/y?{signed}", (), None)
    assert SECRET not in TextFormat().format(record) + JsonFormat().format(record)


def test_secrets_are_not_told(spark: Session, folder: Path) -> None:
    """Neither by statements that tell of settings and tables, nor by the event log, which pages and REST are made from."""
    path = folder / "a.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a INTEGER)")
    database.close()
    options = f"url 'jdbc:sqlite:{path}', dbtable 't', password '{SECRET}'"
    spark.sql(f"CREATE TABLE j USING jdbc OPTIONS ({options})")
    spark.sql(f"CREATE TABLE p USING parquet TBLPROPERTIES ('a.token' = '{SECRET}') AS SELECT 1 a")
    told = [
        row
        for statement in (
            "SET", "SET -v", "SET spark.hadoop.fs.s3a.secret.key", "SHOW CREATE TABLE j", "SHOW TBLPROPERTIES p",
            "SHOW TBLPROPERTIES p ('a.token')", "DESCRIBE EXTENDED j",
        )
        for row in spark.sql(statement).collect()
    ]  # fmt: skip
    assert SECRET not in str(told)
    assert str(told).count(REDACTED) >= 6
    spark.stop()  # The log is complete.
    logs = "".join(file.read_text() for file in (folder / "events").rglob("*") if file.is_file())
    assert "TBLPROPERTIES" in logs
    assert SECRET not in logs
