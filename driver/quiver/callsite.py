"""Where the user called an operator: the outermost frame of ours names the operator, the frame above it the place."""

from __future__ import annotations

import os
import sys

from quiver_proto.ops import CallSite

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NAMES = {"__add__": "union", "__init__": "Context", "__iter__": "toLocalIterator"}


def capture() -> CallSite:
    """The call site of the public method that the user called, however deep inside Quiver the caller is."""
    frame = sys._getframe(1)
    operator = frame.f_code.co_name
    while True:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return CallSite(_NAMES.get(operator, operator), code.co_filename, frame.f_lineno)
        operator = code.co_name
        above = frame.f_back
        if above is None:
            return CallSite(operator, code.co_filename, frame.f_lineno)
        frame = above
