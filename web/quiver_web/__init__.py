"""The web UI, the REST API and the history: a fold over the event log."""
