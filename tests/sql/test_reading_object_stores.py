"""Files of an object store and of a web server, against moto's server on this machine."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from quiver import Conf, Context
from quiver.sql import Session
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException
from quiver_proto import remote_filesystems
from quiver_proto.store_options import StoreOptionRefused, azure_arguments, s3_arguments, store_options

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
    return sink.getvalue().to_pybytes()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The logins of all requests that the server gets."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    logins: list[str] = []
    answer = DomainDispatcherApplication.__call__

    def noted(self: Any, environ: dict[str, Any], start: Any) -> Any:
        logins.append(environ.get("HTTP_AUTHORIZATION", ""))
        return answer(self, environ, start)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", noted)
    return logins


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
    sc = spark.context
    sc.parallelize(["x", "y"], 2).saveAsTextFile("s3a://bucket/lines")
    assert sorted(sc.textFile("s3a://bucket/lines/part-*").collect()) == ["x", "y"]


def test_hadoops_options(spark: Session, store: str, asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every request, of the driver and of tasks, is made as the options say: the environment's key is another."""
    mine = {"fs.s3a.access.key": "mine", "fs.s3a.secret.key": "hidden-s", "fs.s3a.endpoint": store, "fs.s3a.path.style.access": True}
    df = spark.range(4).selectExpr("id", "id % 2 AS k")
    df.write.options(**mine).partitionBy("k").parquet("s3a://bucket/o")
    df.write.options(**mine).mode("overwrite").csv("s3a://bucket/oc")
    read = spark.read.options(**mine).parquet("s3a://bucket/o/k=*")
    assert sorted(read.where("id > 0").collect()) == [(1,), (2,), (3,)]
    assert spark.read.options(**mine).schema("id int, k int").csv("s3a://bucket/oc").count() == 4
    assert spark.read.options(**mine).format("binaryFile").load("s3a://bucket/oc/part*").count() > 0
    assert {each.partition("Credential=")[2].partition("/")[0] for each in asked} == {"mine"}
    read.explain("extended")
    assert "hidden-s" not in repr(read._relation) + capsys.readouterr().out
    asked.clear()
    keys = {"fs.s3a.access.key": "set", "fs.s3a.secret.key": "hidden-s", "fs.s3a.endpoint": store}
    try:
        for name, value in keys.items():
            spark.conf.set(name, value)
        assert spark.read.parquet("s3a://bucket/o").count() == 4
        assert {each.partition("Credential=")[2].partition("/")[0] for each in asked} == {"set"}
        asked.clear()
        anonymous = "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"
        with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*ACCESS_DENIED"):
            spark.read.option("fs.s3a.aws.credentials.provider", anonymous).parquet("s3a://bucket/o")
        assert asked
        assert not any(asked)
    finally:
        for name in keys:
            spark.conf.unset(name)
    for options, problem in (
        ({"fs.s3a.access.key": "mine"}, "only taken together"),
        ({"fs.s3a.server-side-encryption-algorithm": "SSE-C"}, "no counterpart"),
        ({"fs.s3a.aws.credentials.provider": "com.me.Provider"}, "com.me.Provider"),
    ):
        for act in (spark.read.options(**options).parquet, spark.range(1).write.options(**options).parquet):
            with pytest.raises(IllegalArgumentException, match=problem):
                act("s3a://bucket/x")
    dead = {"fs.s3a.endpoint": "http://127.0.0.1:9", "fs.s3a.attempts.maximum": "1"}
    with pytest.raises(AnalysisException, match=r"FAILED_READ_FILE.*s3a://bucket/o"):
        spark.read.options(**dead).parquet("s3a://bucket/o")


def test_what_options_of_stores_mean() -> None:
    def s3(bucket: str = "b", **named: str) -> dict[str, object]:
        return s3_arguments(store_options({f"fs.s3a.{name.replace('_', '.')}": value for name, value in named.items()}), bucket)

    assert s3(endpoint="https://s3.eu-west-3.amazonaws.com") == {"region": "eu-west-3", "endpoint_override": ANY, "scheme": "https"}
    assert s3(endpoint="minio:9000", path_style_access="false")["force_virtual_addressing"] is True
    assert s3("c", endpoint="a", bucket_c_endpoint="http://b/") == {"endpoint_override": "b", "scheme": "http"}
    assert s3(connection_timeout="200s", connection_establish_timeout="5000") == {"connect_timeout": 5.0, "request_timeout": 200.0}
    assert s3(fast_upload="true", threads_max="9", committer_name="magic", impl="org.X") == {}
    role = {"aws_credentials_provider": "org.apache.hadoop.fs.s3a.auth.AssumedRoleCredentialProvider", "assumed_role_arn": "arn:x"}
    assert s3(**role) == {"role_arn": "arn:x"}
    assert s3(access_key="a", secret_key="b", aws_credentials_provider="x.DefaultAWSCredentialsProviderChain") == {}
    azure = {
        "fs.azure.account.auth.type": "OAuth", "fs.azure.account.oauth.provider.type": "org.x.ClientCredsTokenProvider",
        "fs.azure.account.oauth2.client.id": "i", "fs.azure.account.oauth2.client.secret": "s",
        "fs.azure.account.oauth2.client.endpoint": "https://login.microsoftonline.com/tenant/oauth2/token",
    }  # fmt: skip
    expected = {"account_name": "me", "tenant_id": "tenant", "client_id": "i", "client_secret": "s"}
    assert azure_arguments(store_options(azure), "me.dfs.core.windows.net") == expected
    token = store_options({"fs.azure.sas.fixed.token.me.blob.core.windows.net": "t"})
    assert azure_arguments(token, "me.dfs.core.windows.net") == {"account_name": "me", "sas_token": "t"}
    assert azure_arguments(token, "you.dfs.core.windows.net") == {}
    files = remote_filesystems.remote("abfss://box@me.dfs.core.windows.net/a/b", token)
    assert files._inner("abfss://box@me.dfs.core.windows.net/a/b") == "box/a/b"
    with pytest.raises(StoreOptionRefused, match="GOOGLE_APPLICATION_CREDENTIALS"):
        store_options({"fs.gs.auth.service.account.json.keyfile": "/k.json"})


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
    with pytest.raises(AnalysisException, match=r"file system can't be used: Missing bucket.*from the environment.*AWS_ENDPOINT_URL"):
        spark.read.parquet("s3a:///x")
    with pytest.raises(AnalysisException, match=r"file system can't be used: Azure.*account name\.$"):
        spark.read.parquet("abfs://container/x")
    with pytest.raises(IllegalArgumentException, match="put it into the environment") as refused:
        spark.read.json("s3://me:secret@bucket/nope")
    assert "secret" not in str(refused.value)
