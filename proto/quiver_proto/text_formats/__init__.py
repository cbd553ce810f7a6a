"""CSV, JSON and text files with Spark's meaning, read by tasks into Arrow batches. Types are Arrow's. Nothing here knows plans."""
