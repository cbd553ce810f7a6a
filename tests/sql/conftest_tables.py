"""Names that tests of this folder share."""

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
