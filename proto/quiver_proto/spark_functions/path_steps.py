"""Paths into values, as `$.a[0]['b c']`."""

from __future__ import annotations

import re


def steps_in(path: str, step: re.Pattern[str]) -> list[re.Match[str]] | None:
    """The steps behind the `$`, each as `step` matches it; None for what is no such path.

    >>> [found[0] for found in steps_in("$.a[0]", re.compile(r"[.]\\w+|\\[\\d+\\]"))]
    ['.a', '[0]']
    """
    if not path.startswith("$"):
        return None
    steps: list[re.Match[str]] = []
    at = 1
    while at < len(path):
        found = step.match(path, at)
        if found is None:
            return None
        steps.append(found)
        at = found.end()
    return steps
