"""Users' functions in Python: how they are described here and run in slots, over Arrow columns."""
