"""Everything a user can get wrong: each a typed error that says what, where and what to try."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from harness import MakeContext

from quiver import Conf, Context
from quiver_proto.errors import (
    AuthenticationFailed,
    BadMasterUrl,
    BadMemoryString,
    BadSetting,
    ContextStopped,
    ManagerUnreachable,
    OutputExists,
    PathNotFound,
    PathUnreadable,
    ResourcesUnavailable,
    UndecodableLine,
    UnstableKey,
)


def test_unknown_master() -> None:
    with pytest.raises(BadMasterUrl, match=r"local\[N\]"):
        Context("lokal[2]", "test")


def test_unreachable_manager(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUIVER_SECRET", "a-secret-that-nobody-gets-to-see-here-0123456789")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # Bound without listening: nobody else gets it meanwhile.
        with pytest.raises(ManagerUnreachable, match=f"127.0.0.1:{port}"):
            make_context(f"quiver://127.0.0.1:{port}")


def test_wrong_secret(make_context: MakeContext, tmp_path: Path) -> None:
    from test_survival import Cluster

    cluster = Cluster(tmp_path)
    try:
        wrong = tmp_path / "wrong"
        wrong.write_text("not-the-secret-of-this-cluster-at-all-but-long-enough")
        wrong.chmod(0o600)
        with pytest.raises(AuthenticationFailed, match="QUIVER_SECRET"):
            make_context(cluster.url, **{"quiver.secret.file": str(wrong)})
    finally:
        cluster.stop()


def test_bad_memory_string(make_context: MakeContext) -> None:
    with pytest.raises(BadMemoryString, match=r"spark.executor.memory: 'much'"):
        make_context("local[1]", **{"spark.executor.memory": "much"})


def test_bad_number(make_context: MakeContext) -> None:
    with pytest.raises(BadSetting, match=r"spark\.task\.maxFailures"):
        make_context("local[1]", **{"spark.task.maxFailures": "few"})


def test_a_ui_port_in_use_moves_on(make_context: MakeContext) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sc = make_context("local[1]", **{"spark.ui.port": str(port)})
        assert sc.uiWebUrl is not None
        assert f":{port}/" not in sc.uiWebUrl


@pytest.mark.parametrize("master", ["inline", "local[1]"])
def test_missing_path_names_which_of_the_list(make_context: MakeContext, tmp_path: Path, master: str) -> None:
    (tmp_path / "there.txt").write_text("x\n")
    sc = make_context(master)
    with pytest.raises(PathNotFound, match=r"missing\.txt"):
        sc.textFile(f"{tmp_path}/there.txt,{tmp_path}/missing.txt").count()
    with pytest.raises(PathNotFound, match=r"no-\*\.txt"):
        sc.textFile(f"{tmp_path}/no-*.txt").count()


def test_a_file_that_vanishes_after_planning(make_context: MakeContext, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x\n")
    sc = make_context("local[1]")
    rdd = sc.textFile(str(path))
    assert rdd.count() == 1
    path.unlink()
    with pytest.raises(PathNotFound, match=r"a\.txt"):
        rdd.count()


@pytest.mark.skipif(os.getuid() == 0, reason="root reads every file, so none is unreadable")
def test_unreadable_path(make_context: MakeContext, tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("x\n")
    path.chmod(0)
    with pytest.raises(PathUnreadable, match=r"secret\.txt"):
        make_context("local[1]").textFile(str(path)).count()


@pytest.mark.parametrize("master", ["inline", "local[2]"])
def test_undecodable_line_names_file_and_line(make_context: MakeContext, tmp_path: Path, master: str) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes(b"one\ntwo\ncaf\xe9\nfour\n")
    sc = make_context(master)
    with pytest.raises(UndecodableLine, match=r"latin1\.txt, line 3"):
        sc.textFile(str(path)).count()
    assert sc.textFile(str(path), use_unicode=False).collect()[2] == b"caf\xe9"


@pytest.mark.parametrize("partitions", [0, -1])
def test_no_partitions(make_context: MakeContext, partitions: int) -> None:
    sc = make_context("inline")
    with pytest.raises(ValueError, match="partitions"):
        sc.parallelize([1], 1).repartition(partitions).count()
    with pytest.raises(ValueError, match="partitions"):
        sc.parallelize([(1, 1)], 1).reduceByKey(max, partitions).count()


@pytest.mark.parametrize("master", ["inline", "local[2]"])
def test_an_existing_output_directory_is_refused(make_context: MakeContext, tmp_path: Path, master: str) -> None:
    out = tmp_path / "out"
    sc = make_context(master)
    sc.parallelize(["a", "b"], 2).saveAsTextFile(str(out))
    assert sorted(path.name for path in out.iterdir()) == ["_SUCCESS", "part-00000", "part-00001"]
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputExists, match="out"):
        sc.parallelize(["c"], 1).saveAsTextFile(str(out))
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_failed_save_leaves_nothing_visible(make_context: MakeContext, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    with pytest.raises(ZeroDivisionError):
        sc.parallelize(range(4), 4).map(lambda x: 1 // (x - 2)).saveAsTextFile(str(tmp_path / "out"))
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


class Thing:
    pass


def test_a_key_that_hashes_by_address(make_context: MakeContext) -> None:
    sc = make_context("local[2]")
    with pytest.raises(UnstableKey, match="Thing"):
        sc.parallelize([1, 2], 2).map(lambda x: (Thing(), x)).groupByKey().count()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("spark.executor.memory", "64g", "64"), ("spark.executor.cores", "99", "99")],
)
def test_more_than_any_node_has_is_told_within_seconds(make_context: MakeContext, key: str, value: str, says: str) -> None:
    sc = make_context("local-cluster[1,1,512m]", **{key: value})
    with pytest.raises(ResourcesUnavailable, match=says):
        sc.parallelize([1], 1).count()


def test_more_cores_for_a_task_than_any_executor_has(make_context: MakeContext) -> None:
    sc = make_context("local[2]", **{"spark.task.cpus": "3", "quiver.job.noProgressLimit": "1s"})
    with pytest.raises(Exception, match="3 cores"):
        sc.parallelize([1], 1).count()


def test_a_second_context_names_the_first(make_context: MakeContext) -> None:
    make_context("inline")
    with pytest.raises(ValueError, match=r"conftest\.py"):
        Context(conf=Conf().setMaster("inline").setAppName("second"))


def test_of_two_saves_at_once_one_is_refused_and_the_other_stays(make_context: MakeContext, tmp_path: Path) -> None:
    import threading

    sc = make_context("local[2]")
    for turn in range(10):
        out = str(tmp_path / f"out-{turn}")
        ends: list[str] = []

        def save(text: str, out: str = out, ends: list[str] = ends) -> None:
            try:
                sc.parallelize([text], 2).saveAsTextFile(out)
                ends.append(text)
            except OutputExists:
                pass

        threads = [threading.Thread(target=save, args=(text,)) for text in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(ends) == 1
        assert Path(out, "_SUCCESS").exists()
        assert sc.textFile(out).collect() == ends


def test_an_event_log_that_cannot_be_written(make_context: MakeContext) -> None:
    with pytest.raises(BadSetting, match=r"quiver\.eventLog\.dir"):
        make_context("local[1]", **{"quiver.eventLog.dir": "/proc/nope"})


def test_more_cores_for_a_task_than_any_executor_has_is_told_without_waiting_for_the_limit(make_context: MakeContext) -> None:
    sc = make_context("local[2]", **{"spark.task.cpus": "8", "quiver.job.noProgressLimit": "1h"})
    with pytest.raises(Exception, match="8 cores per task; the largest executor has 2"):
        sc.parallelize([1], 1).count()


@pytest.mark.parametrize("master", ["inline", "local[1]"])
def test_a_stopped_context_says_so(make_context: MakeContext, master: str) -> None:
    sc = make_context(master)
    rdd, other = sc.parallelize([(1, 2)]), sc.parallelize([(1, 3)])
    shared = sc.broadcast(5)
    assert rdd.map(lambda pair: shared.value).collect() == [5]
    sc.stop()
    sc.stop()
    for use in (
        lambda: sc.parallelize([1]), lambda: sc.textFile("x"), lambda: sc.broadcast(1), rdd.collect, rdd.count, lambda: rdd.map(str),
        lambda: rdd.join(other), lambda: rdd.union(other), rdd.cache, rdd.sortByKey, lambda: rdd.take(1), lambda: rdd.sample(False, 0.5),
    ):  # fmt: skip
        with pytest.raises(ContextStopped, match=r"stopped. Create a new Context"):
            use()
