"""CSV, JSON and text: what Spark makes of the same bytes and options, malformed records, encodings, compression, pieces of files."""

from __future__ import annotations

import bz2
import datetime
import gzip
import lzma
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from quiver.sql import DataFrame, Session
from quiver.sql import functions as F
from quiver.sql.errors import AnalysisException, IllegalArgumentException, SparkRuntimeException, UnsupportedOperationException
from quiver_proto.text_formats import csv_batches, csv_types, json_batches, text_input
from quiver_proto.text_formats.conversion import Formats
from quiver_proto.text_formats.csv_lines import CsvOptions
from quiver_proto.text_formats.json_batches import JsonOptions
from quiver_proto.text_formats.text_input import Line, Piece

CSV: list[tuple[bytes, dict[str, Any], list[tuple[Any, ...]]]] = [
    (b'a,"",b\n,"x",\n', {}, [("a", None, "b"), (None, "x", None)]),
    (b'"a""b",c\n', {}, [('"a""b"', "c")]),
    (b'"a""b",c\n', {"escape": '"'}, [('a"b', "c")]),
    (b'"y, ""q""",z\n"a"", b"\n"a""",\n"""" ,z\na,"\n', {}, [('"y, ""q"""', "z"), ('a"', ' b"'), ('a""', None), ('""', "z"), ("a", '"')]),
    (b'"a\\"b",c\\d\n', {}, [('a"b', "c\\d")]),
    (b'a"b,c"d"\n', {}, [('a"b', 'c"d"')]),
    (b'"abc,d\ne,f\n', {}, [("abc,d",), ("e",)]),
    (b'"abc"x,d\ne,f\n', {}, [('"abc"x', "d"), ("e", "f")]),
    (b' a , b \n" c ",d\n', {}, [(" a ", " b "), (" c ", "d")]),
    (b' a , b \n" c ",d\n', {"ignoreLeadingWhiteSpace": True}, [("a ", "b "), (" c ", "d")]),
    (b' a , b \n" c ",d\n', {"ignoreTrailingWhiteSpace": True}, [(" a", " b"), (" c ", "d")]),
    (b"a,b\n1,2,3\n4\n\n5,6\n", {"header": True}, [("1", "2"), ("4", None), ("5", "6")]),
    (b'a||b||c\nd|e||"f||g"||h\n', {"sep": "||"}, [("a", "b", "c"), ("d|e", "f||g", "h")]),
    (b"a\tb\n", {"sep": "\\t"}, [("a", "b")]),
    (b'"a,b",c\n', {"quote": ""}, [('"a', 'b"', "c")]),
    (b"#x\na,b\n #c,d\n", {"comment": "#"}, [("a", "b"), (" #c", "d")]),
    (b'a,"",\n', {"emptyValue": "E"}, [("a", "E", None)]),
    (b'NA,"NA",x\n', {"nullValue": "NA"}, [(None, None, "x")]),
    (b"a,b;c,d;e\nf,g", {"lineSep": ";"}, [("a", "b"), ("c", "d"), ("e\nf", "g")]),
    (b'a,b\r\nc,d\r\n"x\r\ny",z\r\n', {}, [("a", "b"), ("c", "d"), ("x", None), ('y"', "z")]),
    (b"a,b\rc,d\r", {}, [("a", "b"), ("c", "d")]),
    (b'a,"b\nc"\r\nd,"e""f"\n', {"multiLine": True}, [("a", "b\nc"), ("d", '"e""f"')]),
    ("é,b\n".encode("latin-1"), {"encoding": "ISO-8859-1"}, [("é", "b")]),
    ("é,b\nc,d\n".encode("utf-16"), {"encoding": "UTF-16"}, [("é", "b"), ("c", "d")]),
    (b"\xff\xfe,b\n", {}, [("��", "b")]),
    (b"\n\na,b\n  \n,\n\nc,d\n", {"header": True}, [(None, None), ("c", "d")]),
    (b'"a"b,c\n', {"unescapedQuoteHandling": "STOP_AT_CLOSING_QUOTE"}, [('a"b,c',)]),
    (b"a,b\nc,d,e\nf\n", {"mode": "DROPMALFORMED"}, [("a", "b")]),
    (b"NA,1\n2,NA\n", {"inferSchema": True, "nullValue": "NA"}, [(None, 1), (2, None)]),
    (b"1,1,true\n1.5,x,1\n", {"inferSchema": True}, [(1.0, "1", "true"), (1.5, "x", "1")]),
    (b"12345678901234567890,+1,.5,1d\n", {"inferSchema": True}, [(Decimal(12345678901234567890), 1, 0.5, 1.0)]),
    (b"", {}, []),
]


def test_csv_means_what_it_means_to_spark(spark: Session, tmp_path: Path) -> None:
    for number, (data, options, expected) in enumerate(CSV):
        (tmp_path / f"{number}.csv").write_bytes(data)
        rows = spark.read.csv(str(tmp_path / f"{number}.csv"), **options).collect()
        assert [tuple(row) for row in rows] == expected, (data, options)


JSON: list[tuple[str, dict[str, Any], list[tuple[str, str]], list[tuple[Any, ...]]]] = [
    (
        '{"a":1,"b":1,"c":[1],"d":{"x":1},"e":[1,"x"]}\n{"a":1.5,"b":"x","c":1,"d":"y","e":[]}\n',
        {},
        [("a", "double"), ("b", "string"), ("c", "string"), ("d", "string"), ("e", "array<string>")],
        [(1.0, "1", "[1]", '{"x":1}', ["1", "x"]), (1.5, "x", "1", "y", [])],
    ),
    ('{"a":1}\nxx\n{"a":2}\n', {}, [("_corrupt_record", "string"), ("a", "bigint")], [(None, 1), ("xx", None), (None, 2)]),
    ('{"a":1}\nxx\n', {"columnNameOfCorruptRecord": "bad"}, [("a", "bigint"), ("bad", "string")], [(1, None), (None, "xx")]),
    ('[{"a":1},{"a":2}]\n{"a":3}\n', {}, [("a", "bigint")], [(1,), (2,), (3,)]),
    ('[{"a":1},\n{"a":2}]', {"multiLine": True}, [("a", "bigint")], [(1,), (2,)]),
    ('{"a":1,"b":[1.5,true]}', {"primitivesAsString": True}, [("a", "string"), ("b", "array<string>")], [("1", ["1.5", "true"])]),
    ('{/* x */"a":1}', {"allowComments": True}, [("a", "bigint")], [(1,)]),
    ("{a:'x\"y'}", {"allowUnquotedFieldNames": True}, [("a", "string")], [('x"y',)]),
    ('{"a":007}', {"allowNumericLeadingZeros": True}, [("a", "bigint")], [(7,)]),
    ('{"a":"\\$1\t"}', {"allowBackslashEscapingAnyCharacter": True, "allowUnquotedControlChars": True}, [("a", "string")], [("$1\t",)]),
    ('{"a":Infinity,"b":-INF}', {}, [("a", "double"), ("b", "double")], [(float("inf"), float("-inf"))]),
    ('{"a":null,"b":[],"c":{},"d":1}', {"dropFieldIfAllNull": True}, [("d", "bigint")], [(1,)]),
    ('{"a":1};{"a":2}', {"lineSep": ";"}, [("a", "bigint")], [(1,), (2,)]),
    ('\n{"a":1} x\n{"a":1}{"a":2}\n  \n', {}, [("a", "bigint")], [(1,), (1,)]),
    ('{"a":"\\ud83d\\ude00"}\n{"a":"\\ud83d é"}\n', {}, [("a", "string")], [("😀",), ("\ufffd é",)]),
    ('{"a":1}\n[1,2]\n', {}, [("_corrupt_record", "string"), ("a", "bigint")], [(None, 1), ("[1,2]", None)]),
    ('{"a":1}\nnull\n1\n', {}, [("_corrupt_record", "string"), ("a", "bigint")], [(None, 1), ("null", None), ("1", None)]),
]


def test_json_means_what_it_means_to_spark(spark: Session, tmp_path: Path) -> None:
    for number, (text, options, columns, expected) in enumerate(JSON):
        (tmp_path / f"{number}.json").write_text(text)
        df = spark.read.json(str(tmp_path / f"{number}.json"), **options)
        assert df.dtypes == columns, text
        assert [tuple(row) for row in df.collect()] == expected, text


def test_corrupt_records_alone_are_not_asked_for(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a":1}\nxx\n')
    files = spark.read.schema("a int, bad string").option("columnNameOfCorruptRecord", "bad")
    for df in (files.json(str(tmp_path)), files.csv(str(tmp_path), header=True)):
        for query in (df.select("bad"), df.where("bad is not null").groupBy().count(), df.groupBy("bad").count()):
            with pytest.raises(AnalysisException, match="QUERY_ONLY_CORRUPT_RECORD_COLUMN"):
                query.collect()
        assert df.count() == df.where("a is not null or bad is not null").count() + df.where("a is null and bad is null").count()
    kept = files.json(str(tmp_path)).cache()
    assert kept.where("bad is not null").select("bad").collect() == [("xx",)]
    kept.unpersist()


def test_json_values_of_asked_types(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '{"i":1,"d":"2026-01-01","t":"2026-01-01T10:00:00Z","x":1.25,"b":"AQI=","m":{"k":1},"l":[1,null],"s":{"x": 1.50}}\n'
        '{"i":1.5,"d":"x","t":1,"x":"1.2","b":1,"m":[1],"l":[1,"q"],"s":1.50}\n'
    )
    schema = "i int, d date, t timestamp, x decimal(5,1), b binary, m map<string,int>, l array<int>, s string"
    first, second = spark.read.schema(schema).json(str(tmp_path)).collect()
    moment = datetime.datetime(2026, 1, 1, 10, tzinfo=datetime.UTC).astimezone().replace(tzinfo=None)
    assert first == (1, datetime.date(2026, 1, 1), moment, Decimal("1.3"), b"\x01\x02", {"k": 1}, [1, None], '{"x": 1.50}')
    assert (second.i, second.d, second.x, second.b, second.m, second.l, second.s) == (None, None, Decimal("1.2"), None, None, None, "1.50")
    with pytest.raises(AnalysisException, match="COLUMN_ALREADY_EXISTS"):
        spark.read.json(spark.sparkContext.parallelize(['{"a":1,"A":2}']))


def test_malformed_records(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n4\n\n5,6\nx,7\n")
    read = spark.read.schema("a int, b int, _corrupt_record string")
    assert read.csv(str(tmp_path)).collect() == [(1, 2, "1,2,3"), (4, None, "4"), (5, 6, None), (None, 7, "x,7")]
    assert spark.read.schema("a int, b int").csv(str(tmp_path), mode="DROPMALFORMED").collect() == [(5, 6)]
    with pytest.raises(SparkRuntimeException, match=r"a\.csv.*MALFORMED_RECORD.*line 1.*1,2,3"):
        spark.read.schema("a int, b int").csv(str(tmp_path), mode="FAILFAST").collect()
    with pytest.raises(SparkRuntimeException, match=r"a\.csv.*header does not conform.*1, 2, 3.*a, b"):
        spark.read.schema("a int, b int").csv(str(tmp_path), header=True, enforceSchema=False).collect()
    with pytest.raises(AnalysisException, match="MALFORMED_CSV_RECORD"):
        spark.read.csv(str(tmp_path), maxColumns=2)
    (tmp_path / "b.json").write_text('{"a":{"x":1,"y":"z"},"c":3}\nxx\n')
    rows = spark.read.schema("a struct<x:int,y:int>, c int, bad string").json(str(tmp_path / "b.json"), columnNameOfCorruptRecord="bad")
    assert [tuple(row) for row in rows.collect()] == [((1, None), 3, '{"a":{"x":1,"y":"z"},"c":3}'), (None, None, "xx")]
    with pytest.raises(SparkRuntimeException, match=r"b\.json.*line 2.*xx"):
        spark.read.schema("c int").json(str(tmp_path / "b.json"), mode="FAILFAST").collect()


def test_options_that_cannot_be_understood(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n")
    for options, wrong in (
        ({"encoding": "nope"}, r"INVALID_PARAMETER_VALUE\.CHARSET"),
        ({"header": "maybe"}, "header flag can be true or false"),
        ({"quote": "ab"}, "OPTION_VALUE_EXCEEDS_ONE_CHARACTER.*quote cannot be more than one character"),
        ({"ignoreMissingFiles": "maybe"}, "ignoreMissingFiles flag can be true or false"),
        ({"samplingRatio": 2}, "samplingRatio"),
        ({"lineSep": ""}, r"INVALID_LINE_SEPARATOR\.EMPTY"),
        ({"lineSep": "abc"}, r"INVALID_LINE_SEPARATOR\.TOO_LONG"),
        ({"sep": "\\q"}, r"INVALID_DELIMITER_VALUE\.UNSUPPORTED_SPECIAL_CHARACTER"),
        ({"unescapedQuoteHandling": "nope"}, "unescapedQuoteHandling is one of STOP_AT_DELIMITER"),
        ({"timeZone": "Mars"}, "INVALID_TIMEZONE"),
    ):
        with pytest.raises(IllegalArgumentException, match=wrong):
            spark.read.csv(str(tmp_path), **options)
    with pytest.raises(AnalysisException, match="UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE"):
        spark.read.schema("a array<int>").csv(str(tmp_path))
    with pytest.raises(AnalysisException, match=r"UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE.*INTERVAL DAY"):
        spark.read.schema("a interval day").csv(str(tmp_path))
    with pytest.raises(AnalysisException, match=r"UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE.*JSON.*`a`"):
        spark.read.schema("a array<interval day>").json(str(tmp_path))
    with pytest.raises(AnalysisException, match=r"UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE.*VOID"):
        spark.read.schema("a void").csv(str(tmp_path))
    with pytest.raises(AnalysisException, match=r"INVALID_CORRUPT_RECORD_TYPE.*`bad`.*INT"):
        spark.read.schema("a int, bad int").csv(str(tmp_path), columnNameOfCorruptRecord="bad")
    for more in ({"locale": "de-DE"}, {"enableDateTimeParsingFallback": "true"}):
        with pytest.raises(UnsupportedOperationException, match=next(iter(more))):
            spark.read.options(**more).csv(str(tmp_path))
    (tmp_path / "a.csv").write_text("2024-01-02 03:04:05\n2024-01-02T03:04:05Z\n")
    assert spark.read.schema("a timestamp_ntz").csv(str(tmp_path)).collect() == [(datetime.datetime(2024, 1, 2, 3, 4, 5),), (None,)]


def test_compressed_files_are_read_by_tasks(spark: Session, tmp_path: Path) -> None:
    for name, write in (("a.csv.gz", gzip.compress), ("b.csv.bz2", bz2.compress), ("c.csv.xz", lzma.compress)):
        (tmp_path / name).write_bytes(write(f"{name[0]},1\n".encode()))
    with pa.CompressedOutputStream(str(tmp_path / "d.csv.zst"), "zstd") as out:
        out.write(b"d,1\n")
    assert sorted(row.s for row in spark.read.schema("s string, n int").csv(str(tmp_path)).collect()) == ["a", "b", "c", "d"]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,1\n" * 100)[:-12])
    df = spark.read.schema("s string, n int").csv(str(tmp_path))
    with pytest.raises(SparkRuntimeException, match=r"FAILED_READ_FILE.*a\.csv\.gz"):
        df.collect()
    lenient = spark.read.schema("s string, n int").csv(str(tmp_path), ignoreCorruptFiles=True)
    assert sorted({row.s for row in lenient.collect()} - {"a"}) == ["b", "c", "d"]


def test_text_and_binary_files(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    path = tmp_path / "k=1" / "a.txt"
    path.write_bytes(b"a\nb\r\nc\n\nd")
    assert [tuple(row) for row in spark.read.text(str(tmp_path)).collect()] == [("a", 1), ("b", 1), ("c", 1), ("", 1), ("d", 1)]
    assert spark.read.text(str(path), wholetext=True).collect() == [("a\nb\r\nc\n\nd",)]
    assert spark.read.text(str(path), lineSep="b").count() == 2
    (row,) = spark.read.format("binaryFile").load(str(path)).select("path", "length", "content").collect()
    assert tuple(row) == (f"file:{path}", 9, b"a\nb\r\nc\n\nd")
    with pytest.raises(AnalysisException, match="only a single column, and you have 2"):
        spark.read.schema("a string, b string").text(str(path))


def test_columns_of_directories_prune_text_files(spark: Session, tmp_path: Path) -> None:
    for key in ("1", "2"):
        (tmp_path / f"k={key}").mkdir()
        (tmp_path / f"k={key}" / "a.csv").write_text(f"{key}0,x\n")
    df = spark.read.csv(str(tmp_path), schema="n int, s string")
    (tmp_path / "k=2" / "a.csv").unlink()
    assert df.where("k = 1 and n > 5").select("n").collect() == [(10,)]
    with pytest.raises(SparkRuntimeException, match=r"FILE_NOT_EXIST.*k=2/a\.csv"):
        df.select("k").collect()


def test_rdds_of_lines(spark: Session) -> None:
    sc = spark.sparkContext
    assert spark.read.csv(sc.parallelize(["a,b", "1,2"], 2), header=True).collect() == [("1", "2")]
    assert spark.read.csv(sc.parallelize(["1,b", "1,2"]), schema="a int, b string").collect() == [(1, "b"), (1, "2")]
    assert spark.read.json(sc.parallelize(['{"a":1}', '{"b":[true]}'], 2)).collect() == [(1, None), (None, [True])]


def test_dataframes_of_texts(spark: Session) -> None:
    texts = spark.createDataFrame([('{"a":1}',), (None,), ('{"a":2}',)], "s string")
    assert spark.read.json(texts).collect() == [(1,), (2,)]
    assert spark.read.csv(spark.createDataFrame([("1,x",)], "s string"), schema="n int, s string").collect() == [(1, "x")]
    with pytest.raises(AnalysisException, match=r"one string column, not of \(bigint\)"):
        spark.read.json(spark.range(2))


def test_pieces_of_a_file_hold_each_line_once(tmp_path: Path) -> None:
    lines = [f"{number:x}" * (number % 7) + ",é" for number in range(400)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    size = path.stat().st_size
    expected = [(line.split(",")[0] or None, "é") for line in lines]
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])
    for target in (1, 7, 100, size):
        cut = text_input.pieces([(str(path), size, 0.0, ())], Line(), False, target)
        assert len(cut) >= size // target // 1.2
        found = [
            tuple(row.values())
            for part in cut
            for one in part
            for b in csv_batches.batches(one, schema, CsvOptions())
            for row in b.to_pylist()
        ]
        assert found == expected, target


def test_blocks_smaller_than_lines_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("".join(f'{{"a": "{"x" * (number % 11)}", "b": {number}}}\r\n' for number in range(50)))
    monkeypatch.setattr(text_input, "BLOCK", 5)
    schema = pa.schema([("b", pa.int64())])
    found = json_batches.batches(Piece(str(path), 0, -1), schema, JsonOptions(), frozenset({"b"}))
    assert [row["b"] for batch in found for row in batch.to_pylist()] == list(range(50))


def test_a_value_far_down_counts_for_its_columns_type(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,1.5,2026-01-01,true,1\n" * 60 + "30000000000,x,2026-01-01 10:00:00,1,\n")
    df = spark.read.csv(str(tmp_path), inferSchema=True)
    assert [kind for _, kind in df.dtypes] == ["bigint", "string", "timestamp", "string", "int"]
    assert spark.read.csv(str(tmp_path), inferSchema=True, samplingRatio=0.01).count() == 61


def test_blocks_of_csv_are_read_as_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(5)
    usual = ["1", "-2.5", "", "text", '"quoted, too"', '""', "2026-01-02", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05.123", "true"]
    odd = ['"a"b"', 'a"b', '"\\""', " ", '"open', "2026-01-02T10", "1e400", "\r", '"x" ', "2026-02-30", "2026-01-01T00:00:00.1234567"]
    kinds = [
        pa.string(),
        pa.int32(),
        pa.float64(),
        pa.date32(),
        pa.timestamp("us", "UTC"),
        pa.timestamp("us"),
        pa.bool_(),
        pa.decimal128(9, 2),
    ]
    served = 0
    for seed in range(150):
        few = draw.choice([0.0, 0.02, 0.1])
        columns = [draw.sample(usual, draw.randrange(1, 4)) for _ in range(3)]
        lines = [",".join(draw.choice(odd if draw.random() < few else each) for each in columns) for _ in range(60)]
        schema = pa.schema([(name, draw.choice(kinds)) for name in "abc"])
        block = "\n".join(lines) + "\n"
        monkeypatch.setattr(csv_batches, "text_blocks", lambda *_: iter([block]))  # noqa: B023
        found = []
        for at_once in (AT_ONCE, lambda *_: None):
            monkeypatch.setattr(csv_batches, "_at_once", at_once)
            options = CsvOptions(formats=Formats("Europe/Oslo"))
            rows = [row for batch in csv_batches.batches(Piece("a.csv", 0, -1), schema, options) for row in batch.to_pylist()]
            found.append((list(map(str, rows)), csv_types.types_of(Piece("a.csv", 0, -1), 3, options)))
        served += AT_ONCE(block, "abc", CsvOptions()) is not None
        assert found[0] == found[1], seed
    assert served > 50


AT_ONCE = csv_batches._at_once


def test_files_as_variants(spark: Session, tmp_path: Path) -> None:
    def lines_of(frame: DataFrame, *more: str) -> list[Any]:
        return [row[0] if len(row) == 1 else tuple(row) for row in frame.select(F.to_json("v"), *more).collect()]

    one = spark.read.option("singleVariantColumn", "v")
    records = ['{"a":1,"b":[1.50,null]}', "[1]", "{bad", '{"a":1,"a":2}', "'x' y", "NaN", "1 2"]
    (tmp_path / "v.json").write_text("\n".join(records))
    told = ['{"a":1,"b":[1.5,null]}', "[1]", None, None, '"x"', '"NaN"', "1"]
    assert lines_of(one.json(str(tmp_path / "v.json"))) == told
    kept = one.schema("v variant, _corrupt_record string").json(str(tmp_path / "v.json"))
    assert lines_of(kept, "_corrupt_record")[2:5] == [(None, "{bad"), (None, '{"a":1,"a":2}'), ('"x"', None)]
    assert spark.read.option("singleVariantColumn", "v").option("mode", "DROPMALFORMED").json(str(tmp_path / "v.json")).count() == 5
    (tmp_path / "m.json").write_text('{"v":{"k":1,"k":1},"n":5}\n{"v":null}\n{"n":1}\n')
    assert lines_of(spark.read.schema("v variant, n int").json(str(tmp_path / "m.json")), "n") == [(None, 5), ("null", None), (None, 1)]

    # A column of CSV only becomes wider: 2 is a text after x.
    (tmp_path / "v.csv").write_text("a,b\n1,x\n1e2,2\n2020-01-02,\n7,true,more\n8\n")
    path, header = str(tmp_path / "v.csv"), spark.read.option("singleVariantColumn", "v").option("header", True)
    told = ['{"a":1,"b":"x"}', '{"a":100,"b":"2"}', '{"a":"2020-01-02","b":null}', '{"a":"7","b":"true"}', '{"a":"8"}']
    assert lines_of(header.csv(path)) == told
    assert lines_of(header.option("mode", "DROPMALFORMED").csv(path)) == told[:3]
    assert lines_of(spark.read.schema("u variant, v variant").csv(path))[-1] is None
    assert lines_of(spark.read.option("singleVariantColumn", "v").csv(path))[-2] == '{"_c0":"7","_c1":"true","_c2":"more"}'

    (tmp_path / "v.xml").write_text('<r><e k="1"><n>2.50</n><n/>t</e><e>true</e><e/><e><n>1</e></r>')
    elements = spark.read.option("rowTag", "e")
    path = str(tmp_path / "v.xml")
    assert lines_of(elements.option("singleVariantColumn", "v").xml(path)) == ['{"_VALUE":"t","_k":1,"n":[2.5,null]}', "true", "null", None]
    assert spark.sql(
        "SELECT to_json(from_xml('<p><a>1</a></p>', 'variant')), to_json(from_csv('x,', 'a variant, b variant').b)"
    ).collect() == [('{"a":1}', "null")]
    with pytest.raises(AnalysisException, match=r"INVALID_SINGLE_VARIANT_COLUMN.*STRUCT<w: INT>"):
        spark.read.option("singleVariantColumn", "v").schema("w int").json(str(tmp_path))


def test_quotes_in_the_middle_of_values(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text('1,"a\n2,b\n3,"c",d\n4,"e\nf",g\n5,"x,y"z,w\n6,"open\n7,z\n')
    ways = {"STOP_AT_DELIMITER": ('"a\n2,b\n3,"c"', '"x,y"z'), "SKIP_VALUE": (None, None), "STOP_AT_CLOSING_QUOTE": ('a\n2,b\n3,"c', None)}
    for way, (first, third) in ways.items():
        found = spark.read.csv(str(tmp_path), multiLine=True, unescapedQuoteHandling=way, schema="n int, s string, t string").collect()
        if way == "STOP_AT_CLOSING_QUOTE":
            assert found == [(1, first, "d"), (4, "e\nf", "g"), (5, 'x,y"z,w\n6,"open\n7,z\n', None)]
        else:
            assert found == [(1, first, "d"), (4, "e\nf", "g"), (5, third, "w"), (6, "open\n7,z\n", None)]


def test_which_columns_make_a_record_malformed(spark: Session, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("1,a\nx,b\n3\n4,d,e\n5,f\n")

    def counts(**options: Any) -> tuple[int, int, int, int]:
        rows = spark.read.schema("a int, b string").option("mode", "DROPMALFORMED").options(**options).csv(str(tmp_path))
        return rows.count(), len(rows.collect()), len(rows.select("b").collect()), rows.where("a > 1").count()

    assert (counts(), counts(multiLine=True), counts(columnPruning=False)) == ((5, 2, 5, 3), (3, 2, 3, 1), (2, 2, 2, 1))
    assert spark.read.schema("a int, b string").option("mode", "FAILFAST").csv(str(tmp_path)).select("b").count() == 5
    told = spark.read.schema("a int, b string, _corrupt_record string").csv(str(tmp_path))
    assert [row[1] for row in told.select("b", "_corrupt_record").collect()] == [None] * 5
    assert [row[1] for row in told.select("a", "_corrupt_record").collect()] == [None, "x,b", None, None, None]
