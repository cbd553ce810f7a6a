"""Every error that Quiver raises on purpose; see quiver_proto.errors for the hierarchy."""

from quiver_proto.errors import *  # noqa: F403
from quiver_proto.errors import __doc__ as __doc__
