"""What a query is, before any kernel sees it: expressions and relations by Spark's names and meaning, frozen and plain."""
