"""A driver that many clients share: `driver serve` on one side, master `quiver-driver://host:port` on the other."""
