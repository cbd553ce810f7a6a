"""From analysed trees to the kernel's SQL: one way down, whatever front door a query came through. Pure."""
