"""From lineage to stages: what a job is made of, before anything runs."""
