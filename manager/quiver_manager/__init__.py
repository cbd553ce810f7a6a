"""The cluster manager: nodes, applications, and who gets which executors."""
