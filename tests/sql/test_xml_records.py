"""Records in XML. Expected values are PySpark 4.3's."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quiver.sql import Session
from quiver.sql.errors import AnalysisException, PySparkException, SparkRuntimeException
from quiver_proto.xml_records.elements import DEEPEST, element_of
from quiver_proto.xml_records.inferring import ddl, record_kind
from quiver_proto.xml_records.reading import XmlOptions

_BOMB = '<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><p><b>&b;</b></p>'
_FILE = '<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/passwd">]><p><b>&f;</b></p>'


def test_texts_are_read_by_a_type(spark: Session) -> None:
    asked: list[tuple[str, str, str, Any]] = [
        ("<p><a>1</a><b>0.8</b></p>", "a INT, b DOUBLE", "", (1, 0.8)),
        ("<p><t>26/08/2015</t></p>", "t DATE", "'dateFormat','dd/MM/yyyy'", (date(2015, 8, 26),)),
        ('<p a="1"><b k="2"> x </b></p>', "_a INT, b STRUCT<_VALUE:STRING,_k:INT>", "", (1, ("x", 2))),
        ('<p a="1"><b k="2"> x </b></p>', "_a INT, b STRING", "'ignoreSurroundingSpaces','false'", (1, " x ")),
        ("<p><b>1</b><b>2</b></p>", "b ARRAY<INT>", "", ([1, 2],)),
        ("<p><b>1</b><b>2</b></p>", "b INT", "", (2,)),
        ("<p><b><c>1</c><d>y</d></b></p>", "b STRING", "", ("<c>1</c><d>y</d>",)),
        ("<p><b><c>1</c><d>y</d></b></p>", "b MAP<STRING,STRING>", "", ({"c": "1", "d": "y"},)),
        ("<p>text<b>1</b></p>", "_VALUE STRING, b INT", "", ("text", 1)),
        ("<p><b/><c/><d/></p>", "b STRING, c INT, d ARRAY<INT>", "", ("", None, [None])),
        ("<p><b>NA</b><c>NA</c></p>", "b STRING, c INT", "'nullValue','NA'", (None, None)),
        ("<p><b>TRUE</b><c>1</c><d>1.25</d></p>", "b BOOLEAN, c BOOLEAN, d DECIMAL(5,2)", "", (True, True, Decimal("1.25"))),
        ("<p><b>1</b><a>x</a><c>2</c></p>", "a INT, b INT, c INT", "", (None, 1, None)),
        ("<p><b>1</b><a>x</a></p>", "b INT, _corrupt_record STRING", "'columnNameOfCorruptRecord','z'", (1, None)),
        ("<p><a>x</a></p>", "a INT, _corrupt_record STRING", "", (None, "<p><a>x</a></p>")),
        ("<p><a>1</b></p>", "a INT, _corrupt_record STRING", "", (None, "<p><a>1</b></p>")),
        ('<x:p xmlns:x="u"><x:b>1</x:b></x:p>', "`x:b` INT, `_xmlns:x` STRING", "", (1, "u")),
        ('<x:p xmlns:x="u"><x:b>1</x:b></x:p>', "b INT, `_x` STRING", "'ignoreNamespace','true'", (1, None)),
        ("<p><!-- c --><B>a<![CDATA[<z>]]></B></p>", "b STRING", "", ("a<z>",)),
        ('<p k="3"><b z="1">1</b></p>', "`@k` INT, b STRUCT<`#t`:INT,`@z`:INT>", "'attributePrefix','@','valueTag','#t'", (3, (1, 1))),
        ('<p k="3"><b>1</b></p>', "_k INT, b INT", "'excludeAttribute','true'", (None, 1)),
        (_BOMB, "b STRING", "", (None,)),
        (_FILE, "b STRING", "", (None,)),
        ("<p>" * 100_000, "b STRING", "", (None,)),
        ("", "b STRING", "", (None,)),
    ]
    for text, kind, options, expected in asked:
        given = f", map({options})" if options else ""
        found = spark.sql(f"SELECT from_xml(:text, '{kind}'{given}) v", args={"text": text}).first()[0]
        assert found == expected, (text[:200], kind)
    assert spark.sql("SELECT from_xml(CAST(NULL AS STRING), 'a INT')").first()[0] is None
    with pytest.raises(SparkRuntimeException, match="Malformed records"):
        spark.sql("SELECT from_xml('<p><a>x</a></p>', 'a INT', map('mode', 'FAILFAST'))").collect()
    for wrong in (
        "from_xml('<p/>', 'MAP<STRING, INT>')",
        "from_xml(1, 'a INT')",
        "to_xml(1)",
        "schema_of_xml(NULL)",
        "to_xml(struct(interval 1 day))",
    ):
        with pytest.raises(AnalysisException, match="DATATYPE_MISMATCH"):
            spark.sql(f"SELECT {wrong}")


def test_types_of_texts(spark: Session) -> None:
    everything = (
        "<p><a>1</a><b>1.5</b><c>true</c><d>2020-01-02</d><e>2020-01-02T03:04:05Z</e><f>x</f><g/><h>9999999999999999999999</h><i> </i>"
        "<j>NaN</j><k>+1</k><l>1e5</l><m>2020-01-02 03:04:05</m></p>"
    )
    told = (
        "STRUCT<a: BIGINT, b: DOUBLE, c: BOOLEAN, d: DATE, e: TIMESTAMP, f: STRING, g: STRING, h: DOUBLE, i: STRING, j: STRING, k: BIGINT, "
        "l: DOUBLE, m: TIMESTAMP>"
    )
    usual = XmlOptions()
    for text, options, kind in [
        (everything, usual, told),
        ('<p><a attr="2">1</a><a>3</a></p>', XmlOptions(excludes_attributes=True), "STRUCT<a: ARRAY<BIGINT>>"),
        ('<p><a attr="2">1</a><a>3</a></p>', usual, "STRUCT<a: ARRAY<STRUCT<_VALUE: BIGINT, _attr: BIGINT>>>"),
        ("<p><a>1</a></p>", XmlOptions(infers=False), "STRUCT<a: STRING>"),
        ('<p k="1">t<b><c>2</c>u</b></p>', usual, "STRUCT<_VALUE: STRING, _k: BIGINT, b: STRUCT<_VALUE: STRING, c: BIGINT>>"),
        ("<p>t</p>", usual, "STRUCT<_VALUE: STRING>"),
        ("<p/>", usual, "STRUCT<>"),
        ("<p><z><b>1</b></z><z><c>1</c></z><y/></p>", usual, "STRUCT<y: STRING, z: ARRAY<STRUCT<b: BIGINT, c: BIGINT>>>"),
        ("<p><a>1</a><a>1.5</a></p>", usual, "STRUCT<a: ARRAY<DOUBLE>>"),
        ("<p><a>1</a><a><b>1</b></a></p>", usual, "STRUCT<a: ARRAY<STRING>>"),
        ("<p><a>1.5</a></p>", XmlOptions(prefers_decimal=True), "STRUCT<a: DECIMAL(2,1)>"),
    ]:
        assert ddl(record_kind(element_of(text), options)) == kind, text
    deep = "<a>" * DEEPEST + "</a>" * DEEPEST
    assert ddl(record_kind(element_of(deep), usual)).count("STRUCT") == DEEPEST - 1
    with pytest.raises(ValueError, match="in each other"):
        element_of(f"<a>{deep}</a>")
    row = spark.sql(
        "SELECT schema_of_xml('<p><a>1</b></p>'), schema_of_xml('<p><a>1</a></p>', map('inferSchema', 'false')),"
        " from_xml('<p><a>1</a></p>', schema_of_xml('<p><a>1</a></p>', map('inferSchema', 'false')))"
    ).first()
    assert row == ("STRUCT<_corrupt_record: STRING>", "STRUCT<a: STRING>", ("1",))


def test_structs_are_written(spark: Session) -> None:
    asked = [
        ("named_struct('a',1,'b',2)", "", "<ROW>\n    <a>1</a>\n    <b>2</b>\n</ROW>"),
        ("named_struct('t',date'2015-08-26')", "'dateFormat','dd/MM/yyyy'", "<ROW>\n    <t>26/08/2015</t>\n</ROW>"),
        (
            "named_struct('a',cast(null as int),'b','x<&>\"y','c',array(1,2),'d',named_struct('e',1.5D,'_k','v'),'f',map('k',1),'g',true,"
            "'i',timestamp'2020-01-02 03:04:05.5 UTC','j',1.20BD,'k',X'6869')",
            "'timeZone','UTC'",
            '<ROW>\n    <b>x&lt;&amp;>"y</b>\n    <c>1</c>\n    <c>2</c>\n    <d k="v">\n        <e>1.5</e>\n    </d>\n'
            "    <f>\n        <k>1</k>\n    </f>\n    <g>true</g>\n    <i>2020-01-02T03:04:05.500Z</i>\n"
            "    <j>1.20</j>\n    <k>[68 69]</k>\n</ROW>",
        ),
        ("named_struct('_a',1,'_VALUE','t','b',2)", "", '<ROW a="1">t\n    <b>2</b>\n</ROW>'),
        ("named_struct('a',null,'b',array(1,null))", "'nullValue','nil'", "<ROW>\n    <a>nil</a>\n    <b>1</b>\n    <b>nil</b>\n</ROW>"),
        (
            "named_struct('a',array(array(1,2),array(3)))",
            "'indent',''",
            "<ROW><a><item>1</item><item>2</item></a><a><item>3</item></a></ROW>\n",
        ),
        ("named_struct('@a','\"','#v','t')", "'attributePrefix','@','valueTag','#v','rowTag','r'", '<r a="&quot;">t</r>'),
    ]
    for value, options, expected in asked:
        given = f", map({options})" if options else ""
        assert spark.sql(f"SELECT to_xml({value}{given})").first()[0] == expected, value
    with pytest.raises(SparkRuntimeException, match="can be no name"):
        spark.sql("SELECT to_xml(named_struct('a b', id)) FROM range(1)").collect()


def test_files_are_read(spark: Session, tmp_path: Path) -> None:
    def read(text: str, schema: str | None = None, **options: Any) -> Any:
        path = tmp_path / "rows.xml"
        path.write_text(text)
        found = spark.read.xml(str(path), schema=schema, **{"rowTag": "r", **options})
        return found.schema.simpleString(), [row[:] for row in found.collect()]

    usual = '<?xml version="1.0"?><rs><r i="1"><a>1</a><b>x</b></r><r><a>2.5</a></r><!-- <r><a>7</a></r> --></rs>'
    assert read(usual) == ("struct<_i:bigint,a:double,b:string>", [(1, 1.0, "x"), (None, 2.5, None)])
    nested = "<rs><r><a>1</a><r><a>9</a></r></r><r/></rs>"
    assert read(nested) == ("struct<a:bigint,r:struct<a:bigint>>", [(1, (9,)), (None, None)])
    assert read('<rs><n:r xmlns:n="u"><n:a>1</n:a></n:r></rs>', rowTag="n:r") == ("struct<_xmlns:n:string,n:a:bigint>", [("u", 1)])
    assert read('<rs><r>hello</r><r k="2">yo</r></rs>') == ("struct<_VALUE:string,_k:bigint>", [("hello", None), ("yo", 2)])
    assert read("<rs><r><a>1</a></r></rs>", "a INT, z STRING") == ("struct<a:int,z:string>", [(1, None)])
    bad = "<rs><r><a>1</a></r><r><a>x</a></r><r><a>3</b></r></rs>"
    told = [(1, None), (None, "<r><a>x</a></r>"), (None, "<r><a>3</b></r>")]
    assert read(bad, "a INT, _corrupt_record STRING")[1] == told
    assert read(bad, "a INT", mode="DROPMALFORMED")[1] == [(1,)]
    assert read("<rs><r><a>1</a></r><r><a>x</b></r></rs>")[0] == "struct<_corrupt_record:string,a:bigint>"
    with pytest.raises(PySparkException, match="Malformed records"):
        read(bad, "a INT", mode="FAILFAST")
    bomb = _BOMB.replace("<p>", "<rs><r>").replace("</p>", "</r><r><b>2</b></r></rs>")
    assert read(bomb, "b STRING")[1] == [(None,), ("2",)]
    assert read("<r " + "'\"" * 20_000, "b STRING")[1] == [(None,)]
    with pytest.raises(AnalysisException, match="rowTag"):
        spark.read.xml(str(tmp_path))
    frame = spark.createDataFrame([("<p><a>1</a></p>",), ('<p k="2"/>',)], "value STRING")
    assert [row[:] for row in spark.read.xml(frame).collect()] == [(None, 1), (2, None)]


def test_files_are_written(spark: Session, tmp_path: Path) -> None:
    path = tmp_path / "out"
    frame = spark.sql(
        "SELECT 1 a, 'x' b, array(1, 2) c, named_struct('_k', 1, '_VALUE', 't') d, CAST(NULL AS STRING) e, 3 _z"
        " UNION ALL SELECT 2, NULL, array(), NULL, 'q', 4 ORDER BY a"
    ).coalesce(1)

    def written(**options: Any) -> bytes:
        frame.write.mode("overwrite").options(**options).xml(str(path))
        return b"".join(file.read_bytes() for file in path.glob("part-*.xml"))

    # The bytes are those of PySpark 4.3.
    assert written(rowTag="r", rootTag="rs") == (
        b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<rs>\n    <r z="3">\n        <a>1</a>\n        <b>x</b>\n'
        b"        <c>1</c>\n        <c>2</c>\n"
        b'        <d k="1">t</d>\n    </r>\n    <r z="4">\n        <a>2</a>\n        <e>q</e>\n    </r>\n</rs>'
    )
    assert [tuple(row) for row in spark.read.xml(str(path), "r").sort("a").collect()] == [
        (3, 1, "x", [1, 2], ("t", 1), None), (4, 2, None, None, None, "q"),
    ]  # fmt: skip
    other = written(rowTag="r", rootTag='rs foo="bar"', nullValue="nil", declaration='version="1.0"')
    assert other.startswith(b'<?xml version="1.0"?>\n<rs foo="bar">\n    <r z="3">')
    assert other.endswith(b"<a>2</a>\n        <b>nil</b>\n        <d>nil</d>\n        <e>q</e>\n    </r>\n</rs>")
    with pytest.raises(AnalysisException, match="rowTag"):
        written()
    with pytest.raises(AnalysisException, match="doesn't support the column `i`"):
        spark.sql("SELECT INTERVAL 1 DAY i").write.xml(str(path), "r")
