"""The engine process: one clock, many sessions, the self-fence, the pipe to control."""
