"""Acts on what the scheduler decides: executors, results, the event log."""
