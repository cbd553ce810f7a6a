"""Front doors: what is written in SQL becomes the same trees that the DataFrame API builds."""
