"""A text in XML as elements. Names keep their prefixes.

Texts are parsed by expat, which loads nothing. Documents that declare entities or have a document type are refused, and so is deep nesting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DEEPEST = 256
"""Elements that may be in each other."""


@dataclass(slots=True)
class Element:
    """`content`: elements, and texts between them as they stand."""

    name: str
    attributes: dict[str, str]
    content: list[Element | str] = field(default_factory=list)

    def has_elements(self) -> bool:
        return any(isinstance(each, Element) for each in self.content)

    def text(self) -> str:
        """Its own, not that of elements in it."""
        return "".join(each for each in self.content if isinstance(each, str))

    def all_text(self) -> str:
        """That of elements in it too."""
        return "".join(each if isinstance(each, str) else each.all_text() for each in self.content)


def element_of(text: str) -> Element:
    """The first element of a text. Raises ValueError for what is no XML."""
    from xml.parsers import expat

    above: list[Element] = []
    found: list[Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(above) >= DEEPEST:
            raise ValueError(f"more than {DEEPEST} elements are in each other")
        element = Element(name, attributes)
        if above:
            above[-1].content.append(element)
        else:
            found.append(element)
        above.append(element)

    def end(name: str) -> None:
        above.pop()

    def data(value: str) -> None:
        content = above[-1].content
        if content and isinstance(content[-1], str):
            content[-1] += value
        else:
            content.append(value)

    def refuse(*declared: Any) -> None:
        raise ValueError("it has a document type, which could declare entities")

    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.lstrip().encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        # What follows the first element is not looked at.
        if not (found and not above):
            raise ValueError(str(error)) from None
    return found[0]
