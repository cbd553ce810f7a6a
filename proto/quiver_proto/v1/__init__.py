"""Generated protobuf modules of package quiver.v1 (`python proto/generate.py` makes them; never edited).

Only `quiver_proto.codec` imports them. Services are bound in `quiver_proto.services` and `quiver_proto.rpc`, which take and
give the frozen dataclasses of `quiver_proto.messages`, `quiver_proto.cluster`, `quiver_proto.cluster_status` and
`quiver_proto.sessions`.
"""
