"""Reaching into variants by paths (`$.a[0]['b c']`), and changing what is there.

Changes are made to trees, of which only what lies on the path is made anew.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from quiver_proto.spark_functions.java import SparkValueError
from quiver_proto.spark_functions.path_steps import steps_in
from quiver_proto.variants.decoding import Part
from quiver_proto.variants.encoding import MOST, Encoded
from quiver_proto.variants.json_form import duplicate

Steps = tuple[str | int, ...]
_STEP = re.compile(r"\.([^.\[]+)|\[(\d{1,10})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_SHAPE = "A valid path should start with `$` and is followed by {} segments like `[123]`, `.name`, `['name']`, or `[\"name\"]`."


def _steps(path: str) -> Steps | None:
    found = steps_in(path, _STEP)
    if found is None:
        return None
    given = (step.groups() for step in found)
    return tuple(
        int(place) if place is not None else next(text for text in (name, single, double) if text is not None)
        for name, place, single, double in given
    )


@functools.lru_cache(256)
def steps_of(path: str, function: str = "variant_get") -> Steps:
    """The steps of a path: names and places from 0. Raises SparkValueError."""
    steps = _steps(path)
    if steps is None or any(isinstance(step, int) and step >= 2**31 for step in steps):
        raise SparkValueError(
            "INVALID_VARIANT_GET_PATH",
            f"The path `{path}` is not a valid variant extraction path in `{function}`. {_SHAPE.format('zero or more')}",
        )
    return steps


def reached(part: Part, steps: Steps) -> Part | None:
    """What is at the end of the steps, if anything is."""
    found: Part | None = part
    for step in steps:
        assert found is not None
        kind = found.kind
        if isinstance(step, str):
            found = found.member(step) if kind == "object" else None
        else:
            found = found.item(step) if kind == "array" else None
        if found is None:
            return None
    return found


# ---- changes ----

Change = Callable[[Any, str | int], Any]


class Changing:
    """One call of a function that changes a variant: `function` is its name, as its errors say."""

    def __init__(self, function: str, path: str, rootless: bool = True) -> None:
        steps = _steps(path)
        if steps is None or (rootless and not steps):
            raise SparkValueError(
                "INVALID_VARIANT_PATH", f"The path '{path}' is not a valid `{function}` target. {_SHAPE.format('').replace('  ', ' ')}"
            )
        self._function, self._path, self._steps = function, path, steps

    def deleted(self, tree: Any) -> Any:
        """Without what is at the path, if anything is."""

        def change(holder: Any, step: str | int) -> Any:
            if isinstance(step, str):
                return {name: member for name, member in holder.items() if name != step} if isinstance(holder, dict) else holder
            return [*holder[:step], *holder[step + 1 :]] if isinstance(holder, list) else holder

        return self._changed(tree, 0, change, creates=False, strict=False)

    def inserted(self, tree: Any, value: Any) -> Any:
        """With a new member, or with an item before the one at that place. Raises SparkValueError for a member that is there."""

        def change(holder: Any, step: str | int) -> Any:
            if isinstance(step, str):
                if step in holder:
                    raise duplicate(step)
                return _with_member(holder, step, value)
            return [*self._padded(holder, step)[:step], value, *holder[step:]]

        return self._changed(tree, 0, change, creates=True)

    def replaced(self, tree: Any, value: Any, creates: bool) -> Any:
        """With the value there; where nothing is, only if it `creates`."""

        def change(holder: Any, step: str | int) -> Any:
            if isinstance(step, str):
                return _with_member(holder, step, value) if creates or step in holder else holder
            if step < len(holder):
                return [*holder[:step], value, *holder[step + 1 :]]
            return [*self._padded(holder, step), value] if creates else holder

        return self._changed(tree, 0, change, creates)

    def appended(self, tree: Any, value: Any) -> Any:
        """With the value at the end of the array there, if anything is."""
        if not self._steps:
            return self._longer(tree, value)

        def change(holder: Any, step: str | int) -> Any:
            if isinstance(step, str):
                return {**holder, step: self._longer(holder[step], value)} if step in holder else holder
            return [*holder[:step], self._longer(holder[step], value), *holder[step + 1 :]] if step < len(holder) else holder

        return self._changed(tree, 0, change, creates=False)

    def _longer(self, tree: Any, value: Any) -> Any:
        if not isinstance(tree, list):
            raise self._mismatch(len(self._steps))
        return [*tree, value]

    def _padded(self, items: list[Any], place: int) -> list[Any]:
        if place > MOST:
            raise SparkValueError("VARIANT_SIZE_LIMIT", f"Cannot build variant bigger than {MOST // 2**20} MiB in `{self._function}`.")
        return [*items, *[None] * (place - len(items))]

    def _mismatch(self, depth: int) -> SparkValueError:
        at = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self._steps[:depth])
        return SparkValueError(
            "VARIANT_PATH_TYPE_MISMATCH", f"The path '{self._path}' is incompatible with the variant value at '{at}' in `{self._function}`."
        )

    def _changed(self, tree: Any, depth: int, change: Change, creates: bool, strict: bool = True) -> Any:
        step = self._steps[depth]
        fits: bool = isinstance(tree, dict if isinstance(step, str) else list)
        if not fits:
            if strict:
                raise self._mismatch(depth)
            return tree
        if depth == len(self._steps) - 1:
            return change(tree, step)
        holder: Any = tree
        there = step in holder if isinstance(step, str) else step < len(holder)
        if not there and not creates:
            return tree
        below = holder[step] if there else {} if isinstance(self._steps[depth + 1], str) else []
        made = self._changed(below, depth + 1, change, creates, strict)
        if isinstance(step, str):
            return _with_member(holder, step, made)
        return [*holder[:step], made, *holder[step + 1 :]] if there else [*self._padded(holder, step), made]


def _with_member(members: dict[str, Any], name: str, member: Any) -> dict[str, Any]:
    return {**members, name: member}


def without_nulls(tree: Any, in_arrays: bool) -> Any:
    """Without members that are null, and items, if `in_arrays`. A null itself stays."""
    if isinstance(tree, dict):
        return {name: without_nulls(member, in_arrays) for name, member in tree.items() if not _is_null(member)}
    if isinstance(tree, list):
        return [without_nulls(item, in_arrays) for item in tree if not (in_arrays and _is_null(item))]
    return tree


def _is_null(tree: Any) -> bool:
    return tree is None or (isinstance(tree, Encoded) and tree.raw == b"\0")
