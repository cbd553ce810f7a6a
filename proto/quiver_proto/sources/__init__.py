"""What Python reads in tasks: each reader makes Arrow batches of the parts that the driver has chosen. Readers and parts are pickled."""
