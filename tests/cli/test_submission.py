"""What the flags of `driver run` come to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quiver.cli.submission import Submission, assemble, environment, import_roots, parse_properties, split_paths
from quiver_proto.errors import BadMemoryString, BadSetting, ConfigurationError, PathNotFound


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text("")
    return str(path)


def submit(
    script: str,
    *,
    master: str | None = None,
    properties: dict[str, str] | None = None,
    conf: tuple[str, ...] = (),
    memory: str | None = None,
    cores: str | None = None,
    py_files: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    archives: tuple[str, ...] = (),
) -> Submission:
    return assemble(
        script,
        ["x"],
        master=master,
        name=None,
        properties=properties or {},
        conf=conf,
        flags={"spark.executor.memory": memory, "spark.executor.cores": cores},
        py_files=py_files,
        files=files,
        archives=archives,
    )


def test_flags_win_over_conf_over_properties(script: str) -> None:
    properties = {"spark.executor.memory": "1g", "a": "file", "b": "file"}
    conf = ("spark.executor.memory=2g", "a=conf")
    assert submit(script, properties=properties, conf=conf, memory="3g").conf == {"spark.executor.memory": "3g", "a": "conf", "b": "file"}
    assert submit(script, properties=properties, conf=conf).conf["spark.executor.memory"] == "2g"


def test_master_and_name_may_come_from_properties(script: str) -> None:
    properties = {"spark.master": "local[3]", "spark.app.name": "counting"}
    submission = submit(script, properties=properties)
    assert (submission.master, submission.name, submission.conf) == ("local[3]", "counting", {})
    assert submit(script, master="inline", properties=properties).master == "inline"


def test_environment_holds_only_what_was_said(script: str) -> None:
    variables = environment(submit(script, conf=("a=b=c",)))
    assert variables == {"QUIVER_CONF_JSON": json.dumps({"a": "b=c"})}
    assert environment(submit(script, master="local[2]"))["QUIVER_MASTER"] == "local[2]"


@pytest.mark.parametrize(
    ("conf", "error"),
    [("novalue", BadSetting), ("=x", BadSetting), ("spark.executor.memory=lots", BadMemoryString), ("spark.cores.max=0", BadSetting)],
)
def test_bad_conf(script: str, conf: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        submit(script, conf=(conf,))


@pytest.mark.parametrize("memory", ["", "4x", "-1g", "0"])
def test_bad_memory_names_the_setting(script: str, memory: str) -> None:
    with pytest.raises(BadMemoryString, match=r"spark\.executor\.memory"):
        submit(script, memory=memory)


@pytest.mark.parametrize("cores", ["two", "0", "-1", "1.5"])
def test_bad_counts(script: str, cores: str) -> None:
    with pytest.raises(BadSetting, match=r"spark\.executor\.cores"):
        submit(script, cores=cores)


def test_bad_scripts(tmp_path: Path) -> None:
    with pytest.raises(PathNotFound, match=r"nowhere\.py"):
        submit(str(tmp_path / "nowhere.py"))
    with pytest.raises(ConfigurationError, match="is a folder"):
        submit(str(tmp_path))
    (tmp_path / "app.jar").write_text("")
    with pytest.raises(ConfigurationError, match="Java archive"):
        submit(str(tmp_path / "app.jar"))


def test_properties_in_spark_s_forms() -> None:
    text = "# comment\n\n! too\nspark.executor.memory   2g\nspark.app.name=word count\nx: y\n  url http://h:1/?a=b\nempty=\n"
    assert parse_properties(text, "p") == {
        "spark.executor.memory": "2g", "spark.app.name": "word count", "x": "y", "url": "http://h:1/?a=b", "empty": "",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="p, line 2: 'lonely'"):
        parse_properties("a b\nlonely\n", "p")


def test_py_files(script: str, tmp_path: Path) -> None:
    (tmp_path / "lib.zip").write_text("")
    (tmp_path / "mods").mkdir()
    (tmp_path / "mods" / "one.py").write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    given = f"{tmp_path}/lib.zip,{tmp_path}/mods/one.py"
    submission = submit(script, py_files=(given, f"{tmp_path}/package", f"{tmp_path}/lib.zip"))
    assert submission.python_path == (f"{tmp_path}/lib.zip", f"{tmp_path}/mods", str(tmp_path))
    assert submission.conf["spark.submit.pyFiles"] == f"{given},{tmp_path}/package"


def test_py_files_that_are_none() -> None:
    with pytest.raises(PathNotFound, match=r"gone\.zip"):
        split_paths(["/nowhere/gone.zip"])
    with pytest.raises(ConfigurationError, match="--files"):
        import_roots(["/data/table.csv"])


def test_files_are_listed(script: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    assert submit(script, files=(f"{tmp_path}/a.txt",)).conf["spark.files"] == f"{tmp_path}/a.txt"


def test_archives_keep_their_alias_and_urls_stay_as_they_are(script: str, tmp_path: Path) -> None:
    for name in ("a.zip", "odd#name.zip"):
        (tmp_path / name).write_text("")
    given = (f"{tmp_path}/a.zip#model,s3://bucket/b.tgz#env", f"{tmp_path}/odd#name.zip")
    assert submit(script, archives=given).conf["spark.archives"] == ",".join(given)
    with pytest.raises(PathNotFound):
        submit(script, archives=(f"{tmp_path}/gone.zip#x",))
    submission = submit(script, files=("s3://bucket/a.txt",), py_files=("s3://bucket/lib.zip",))
    assert submission.conf == {"spark.files": "s3://bucket/a.txt", "spark.submit.pyFiles": "s3://bucket/lib.zip"}
    assert submission.python_path == ()
