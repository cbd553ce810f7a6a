"""Files of an object store and of a web server, against moto's server on this machine."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The server's URL; the environment has what it takes to be let in."""
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        values = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}
        for name, value in values.items():
            patch.setenv(name, value)
        put(url, "", b"")
        yield url
        server.stop()


def put(url: str, key: str, data: bytes) -> None:
    system = fs.S3FileSystem(endpoint_override=url, allow_bucket_creation=True)
    system.create_dir("bucket")
    if key:
        with system.open_output_stream(f"bucket/{key}", compression=None) as out:
            out.write(data)


def parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def spark(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    conf = Conf(loadDefaults=False).set("quiver.eventLog.dir", str(tmp_path_factory.mktemp("events"))).set("spark.ui.enabled", "false")
    with Session(Context("local[2]", "test", conf=conf)) as session:
        yield session


def test_parquet(spark: Session, store: str) -> None:
    for key in (1, 2):
        put(store, f"t/k={key}/x y.parquet", parquet(a=[key, key + 1], S=["x", "y"]))
    df = spark.read.parquet("s3://bucket/t")
    assert df.dtypes == [("a", "bigint"), ("S", "string"), ("k", "int")]
    assert df.where("k = 2 and a > 2").select("a", "s", "k").collect() == [(3, "y", 2)]
    assert spark.read.schema("s string").parquet("s3a://bucket/t/k=*/*.parquet").count() == 4
    assert df.inputFiles() == ["s3://bucket/t/k=1/x y.parquet", "s3://bucket/t/k=2/x y.parquet"]
    put(store, "t/k=2/x y.parquet", parquet(a=["s"]))
    with pytest.raises(SparkRuntimeException, match=r"DATA_TYPE_MISMATCH.*s3://bucket/t/k=2/x y\.parquet|s3://bucket/t/k=2.*\[a\]"):
        df.collect()


def test_groups_of_rows_that_meet_no_condition_are_not_read(spark: Session, store: str) -> None:
    sink = pa.BufferOutputStream()
    columns = {"a": range(200), "s": [f"{n:03}" for n in range(200)], "x": [float("nan") if n == 7 else n / 2 for n in range(200)]}
    pq.write_table(pa.table(columns), sink, row_group_size=100, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(sink.getvalue())
    first = pq.ParquetFile(pa.BufferReader(bytes(data))).metadata.row_group(0)
    for number in range(3):
        data[first.column(number).data_page_offset + 200] ^= 1
    put(store, "g/a.parquet", bytes(data))
    df = spark.read.parquet("s3://bucket/g/a.parquet")
    for condition, count in (
        ("a > 149", 50), ("150 <= a", 50), ("a = 199 and s is not null", 1), ("a >= 100", 100), ("s > '149'", 50), ("s = '120'", 1),
        ("x = 60", 1), ("x is null", 0), ("a > 99.5", 100),
    ):  # fmt: skip
        assert df.where(condition).count() == count, condition
    for condition in ("a > 98", "a <= 99", "x > 60", "s like '15%'", "s is null or a > 150"):
        with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*s3://bucket/g/a\.parquet"):
            df.where(condition).collect()


def test_text(spark: Session, store: str) -> None:
    put(store, "c/a.csv.gz", gzip.compress(b"a,b\n1,2\n"))
    put(store, "j/a.json", b'{"a":1}\n{"a":2}\n')
    assert spark.read.csv("s3://bucket/c", header=True, inferSchema=True).collect() == [(1, 2)]
    assert spark.read.json("s3://bucket/j/a.json").collect() == [(1,), (2,)]
    assert spark.read.json(f"{store}/bucket/j/a.json").collect() == [(1,), (2,)]


def test_hadoops_names_of_the_scheme(spark: Session) -> None:
    spark.range(3).write.parquet("s3a://bucket/written")
    assert spark.read.parquet("s3n://bucket/written").count() == 3


def test_paths_that_cannot_be_read(spark: Session, store: str) -> None:
    with pytest.raises(AnalysisException, match=r"PATH_NOT_FOUND.*s3://bucket/nope"):
        spark.read.json("s3://bucket/nope")
    with pytest.raises(AnalysisException, match=r"PATH_NOT_FOUND.*http://"):
        spark.read.json(f"{store}/bucket/nope")
    with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*abfs://c@nobody"):
        # An account without a key, at a port where nobody listens.
        spark.read.parquet("abfs://c@nobody.dfs.core.windows.net/x?blob_storage_authority=127.0.0.1:9&dfs_storage_authority=127.0.0.1:9")
    with pytest.raises(AnalysisException, match="no file system for scheme 'zz'"):
        spark.read.json("zz://bucket/nope")
    for name in ("fs.s3a.endpoint", "fs.s3a.secret.key"):
        with pytest.raises(IllegalArgumentException, match=f"{name} is not taken: put AWS_ENDPOINT_URL"):
            spark.read.option(name, "http://127.0.0.1:1").parquet("s3a://bucket/x")
        with pytest.raises(IllegalArgumentException, match=f"{name} is not taken"):
            spark.range(1).write.option(name, "http://127.0.0.1:1").parquet("s3a://bucket/x")
    with pytest.raises(AnalysisException, match=r"file system can't be used: Missing bucket.*from the environment.*AWS_ENDPOINT_URL"):
        spark.read.parquet("s3a:///x")
    with pytest.raises(AnalysisException, match=r"file system can't be used: Azure.*account name\.$"):
        spark.read.parquet("abfs://container/x")
    with pytest.raises(IllegalArgumentException, match="put it into the environment") as refused:
        spark.read.json("s3://me:secret@bucket/nope")
    assert "secret" not in str(refused.value)
