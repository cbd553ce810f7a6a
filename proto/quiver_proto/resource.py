"""What an executor has besides cores and memory, such as GPUs."""

from __future__ import annotations

from collections.abc import Sequence


class ResourceInformation:
    """A kind of resource and the addresses of those that may be used, for example the numbers of GPUs.

    >>> from quiver.resource import ResourceInformation
    >>> gpus = ResourceInformation("gpu", ["0", "1"])
    >>> gpus.name, gpus.addresses
    ('gpu', ['0', '1'])
    """

    def __init__(self, name: str, addresses: Sequence[str]) -> None:
        self._name = name
        self._addresses = list(addresses)

    @property
    def name(self) -> str:
        """What it is called: `gpu`."""
        return self._name

    @property
    def addresses(self) -> list[str]:
        """Strings whose meaning depends on the kind."""
        return self._addresses

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceInformation) and (self._name, self._addresses) == (other._name, other._addresses)

    def __hash__(self) -> int:
        return hash((self._name, *self._addresses))

    def __repr__(self) -> str:
        return f"ResourceInformation({self._name!r}, {self._addresses!r})"
