"""Values of type VARIANT in Python."""

from __future__ import annotations

from typing import Any


class VariantVal:
    """Data of any shape, in the bytes of the open Variant specification: `value`, and `metadata`, which has the names of members.

    >>> v = VariantVal.parseJson('{"b": 1, "a": [true, 2.5]}')
    >>> v.toPython(), v.toJson()
    ({'a': [True, Decimal('2.5')], 'b': 1}, '{"a":[true,2.5],"b":1}')
    """

    def __init__(self, value: bytes, metadata: bytes) -> None:
        self.value = value
        self.metadata = metadata

    def toPython(self) -> Any:
        """Dicts, lists, and Python's values; instants are aware datetimes in UTC. Raises ValueError for bytes that are no variant."""
        from quiver_proto.variants.decoding import part_of, python_of

        return python_of(part_of(self.value, self.metadata))

    def toJson(self, zone_id: str = "UTC") -> str:
        """As a text in JSON, instants by the clocks of the zone. Raises ValueError for bytes that are no variant."""
        from quiver_proto.variants.decoding import part_of
        from quiver_proto.variants.json_form import as_json

        return as_json(part_of(self.value, self.metadata), zone_id)

    @classmethod
    def parseJson(cls, json_str: str) -> VariantVal:
        """The variant of a text in JSON. Raises ValueError for other texts."""
        from quiver_proto.variants.encoding import encoded
        from quiver_proto.variants.json_form import tree_of_json

        return cls(*encoded(tree_of_json(json_str)))

    def __str__(self) -> str:
        return self.toJson()

    def __repr__(self) -> str:
        return f"VariantVal({self.value!r}, {self.metadata!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VariantVal) and (self.value, self.metadata) == (other.value, other.metadata)

    def __hash__(self) -> int:
        return hash((self.value, self.metadata))
