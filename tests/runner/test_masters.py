import pytest

from quiver.runner.masters import Inline, Local, LocalCluster, RemoteDriver, Standalone, available_cores, parse_master
from quiver_proto.errors import BadMasterUrl, BadMemoryString


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("inline", Inline()),
        ("local", Local(1)),
        ("local[3]", Local(3)),
        ("local[ 3 , 2 ]", Local(3, 2)),
        ("local[*]", Local(available_cores())),
        ("local-cluster[2,1,512]", LocalCluster(2, 1, 512 << 20)),
        ("local-cluster[2, 1, 2g]", LocalCluster(2, 1, 2 << 30)),
        ("quiver://example:7077", Standalone("example:7077")),
        ("quiver://[::1]:7077/", Standalone("[::1]:7077")),
        ("quiver-driver://localhost:7078", RemoteDriver("localhost:7078")),
    ],
)
def test_forms(url: str, expected: object) -> None:
    assert parse_master(url) == expected


@pytest.mark.parametrize(
    "url", ["", "locale", "local[0]", "local[-1]", "local[2,0]", "local-cluster[0,1,1g]", "quiver://host", "quiver://host:99999"]
)
def test_unknown_forms_name_the_url_and_the_forms_there_are(url: str) -> None:
    with pytest.raises(BadMasterUrl) as caught:
        parse_master(url)
    assert repr(url) in str(caught.value)
    assert "quiver://host:port" in str(caught.value)


def test_a_spark_master_is_recognised() -> None:
    with pytest.raises(BadMasterUrl, match="Spark master"):
        parse_master("spark://host:7077")


def test_bad_memory_in_a_master_url_says_where() -> None:
    with pytest.raises(BadMemoryString, match="local-cluster"):
        parse_master("local-cluster[2,1,lots]")
