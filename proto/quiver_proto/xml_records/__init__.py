"""Records in XML: read by a type, told the type of, and written, as Spark has them."""
