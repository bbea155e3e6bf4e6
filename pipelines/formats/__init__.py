"""What rows are read from: one module a format, all of which end in the same batches of rows."""
