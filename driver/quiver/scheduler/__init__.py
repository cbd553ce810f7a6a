"""Decides which task runs where and when; acts on nothing. `step(state, event, now) -> actions`."""
