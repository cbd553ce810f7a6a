"""The node daemon, the executor supervisor, slots, and what runs in them."""
