"""The control process: which rooms to serve, and the engines that serve them."""
