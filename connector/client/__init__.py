"""The other side of the worker's API: `connector rooms`, `join` and `leave`."""
