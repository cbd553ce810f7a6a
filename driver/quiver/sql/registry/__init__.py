"""Every operator, function and aggregate by Spark's name: what it takes, what it gives, and how the kernel says it."""
