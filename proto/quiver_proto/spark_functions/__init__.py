"""Spark's functions that the kernel has none of, as plain Python: they travel by name inside the kernel's plans and run in the slots."""
