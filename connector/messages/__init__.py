"""The typed messages between the control process and the engines."""
