"""From what the user wrote to what it means: names to attributes, types, implicit casts, errors. Pure."""
