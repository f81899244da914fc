"""The public and the private port."""
