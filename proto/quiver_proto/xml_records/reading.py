"""Elements as values of a column's type. What does not fit is null, and so is what comes after it in the record, as Spark has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.prepared import Prepared, prepared
from quiver_proto.text_formats.conversion import converter
from quiver_proto.text_formats.malformed import FAIL
from quiver_proto.variants.shredded import is_variant
from quiver_proto.xml_records.elements import Element, element_of
from quiver_proto.xml_records.options import XmlOptions
from quiver_proto.xml_records.variants import of_element, of_text

if TYPE_CHECKING:
    import pyarrow as pa


class Problems:
    """What of a record did not fit, once something has not."""

    __slots__ = ("first",)

    def __init__(self) -> None:
        self.first = ""


Convert = Callable[[Element, Problems], Any]
FromText = Callable[[str], Any]


def from_text(kind: pa.DataType, options: XmlOptions) -> FromText:
    """What makes a value of a text; ValueError for one that is none. Raises TypeError for types that texts are not of."""
    import pyarrow as pa

    is_ = pa.types
    if is_variant(kind):
        return lambda text: of_text(text, options)
    make = _boolean if is_.is_boolean(kind) else _no_value if is_.is_binary(kind) else converter(kind, options.formats)
    strips = is_.is_floating(kind) or is_.is_integer(kind)

    def read(text: str) -> Any:
        value = text.strip() if options.strips or strips else text
        if value == options.null or (make is not None and not value.strip()):
            return None
        try:
            return value if make is None else make(value)
        except OverflowError:
            raise ValueError(text) from None

    return read


def _no_value(text: str) -> bytes:
    raise ValueError("texts in XML are no binaries")


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return folded in ("true", "1")


def element_reader(kind: pa.DataType, options: XmlOptions) -> Convert:
    """What makes a value of an element. It raises ValueError where that does not fit; structs tell problems."""
    import pyarrow as pa

    is_ = pa.types
    if is_variant(kind):
        return lambda element, problems: of_element(element, options)
    if is_.is_struct(kind):
        return struct_reader(list(kind), options)
    if is_.is_map(kind):
        return _map_reader(kind.item_type, options)
    if is_.is_list(kind):
        item = element_reader(kind.value_type, options)
        return lambda element, problems: [item(element, problems)]
    read = from_text(kind, options)
    if is_.is_string(kind):
        return lambda element, problems: _markup(element, options) if element.has_elements() else _read_text(read, element)
    return lambda element, problems: _read_text(read, element)


def _read_text(read: FromText, element: Element) -> Any:
    return read(element.text())


def _markup(element: Element, options: XmlOptions) -> str:
    """What an element holds, as text in XML again."""
    from xml.sax.saxutils import escape, quoteattr

    written = []
    for each in element.content:
        if isinstance(each, str):
            written.append(escape(each.strip() if options.strips else each))
        else:
            attributes = "".join(f" {name}={quoteattr(value)}" for name, value in each.attributes.items())
            written.append(f"<{each.name}{attributes}>{_markup(each, options)}</{each.name}>")
    return "".join(written)


def _map_reader(kind: pa.DataType, options: XmlOptions) -> Convert:
    item, attribute = element_reader(kind, options), _text_or_nothing(kind, options)

    def read(element: Element, problems: Problems) -> list[tuple[str, Any]]:
        pairs = {name: attribute(value) for name, value in options.attributes_of(element).items()}
        for each in element.content:
            if isinstance(each, Element):
                pairs[options.name_of(each.name)] = item(each, problems)
        return list(pairs.items())

    return read


def _text_or_nothing(kind: pa.DataType, options: XmlOptions) -> FromText:
    import pyarrow as pa

    return (lambda text: None) if pa.types.is_nested(kind) else from_text(kind, options)


def struct_reader(fields: Sequence[pa.Field], options: XmlOptions) -> Convert:
    """What makes a struct of an element's attributes, elements and text. Columns are found in any case."""
    import pyarrow as pa

    is_list = [pa.types.is_list(each.type) for each in fields]
    kinds = [each.type.value_type if listed else each.type for each, listed in zip(fields, is_list, strict=True)]
    places = {each.name.lower(): place for place, each in reversed(list(enumerate(fields)))}
    elements = [element_reader(kind, options) for kind in kinds]
    texts = {place: from_text(kind, options) for place, kind in enumerate(kinds) if not pa.types.is_nested(kind) or is_variant(kind)}
    own = places.get(options.value_tag.lower())

    def read(element: Element, problems: Problems) -> dict[str, Any]:
        found: list[Any] = [None] * len(kinds)

        def put(place: int, value: Any) -> None:
            found[place] = [*(found[place] or ()), value] if is_list[place] else value

        def fill() -> None:
            for name, value in options.attributes_of(element).items():
                if (place := places.get(name.lower(), -1)) in texts:
                    put(place, texts[place](value))
            for each in element.content:
                if isinstance(each, Element):
                    if (place := places.get(options.name_of(each.name).lower(), -1)) >= 0:
                        put(place, elements[place](each, problems))
                        if problems.first:
                            return
                elif own in texts and each.strip():
                    put(own, texts[own](each))

        try:
            fill()
        except ValueError as problem:
            problems.first = str(problem) or "a value does not fit"
        return {each.name: value for each, value in zip(fields, found, strict=True)}

    return read


class RecordReader:
    """Reads texts of one element each as structs of the fields."""

    def __init__(self, fields: Sequence[pa.Field], options: XmlOptions) -> None:
        self._names = [each.name for each in fields]
        self._read = struct_reader([each for each in fields if each.name != options.corrupt], options)
        self._options = options

    def __call__(self, text: str) -> tuple[dict[str, Any], str]:
        """(the struct, what is wrong with the text)."""
        problems = Problems()
        single = self._options.single
        found: dict[str, Any]
        try:
            element = element_of(text)
            if single is None:
                found = self._read(element, problems)
            else:
                found = {name: of_element(element, self._options) if name == single else None for name in self._names}
        except ValueError as problem:
            return {name: text if name == self._options.corrupt else None for name in self._names}, f"no XML ({problem})"
        if self._options.corrupt in self._names:
            found[self._options.corrupt] = text if problems.first else None
        return found, problems.first


def xml_reader(kind: pa.StructType, options: XmlOptions) -> Prepared:
    """Reads text in XML as a struct, for the kernel; what does not fit is null. Raises TypeError in its first call for a type that XML has
    no values of."""
    return prepared("from_xml", _reader, kind, options)


def _reader(kind: pa.StructType, options: XmlOptions) -> Callable[[str], dict[str, Any] | None]:
    read = RecordReader(list(kind), options)

    def found(text: str) -> dict[str, Any] | None:
        record, problem = variant(text) if is_variant(kind) else read(text)
        if problem and options.mode == FAIL:
            raise SparkValueError(
                "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", f"Malformed records are detected in record parsing: {text}."
            )
        return record

    def variant(text: str) -> tuple[dict[str, Any] | None, str]:
        try:
            return of_element(element_of(text), options), ""
        except ValueError as problem:
            return None, f"no XML ({problem})"

    return found
