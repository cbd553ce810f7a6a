"""The type VARIANT: its bytes as the open specification of Apache Parquet's Variant encoding has them, and what is done with them."""
