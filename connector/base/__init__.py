"""What everything stands on: the error tree, end reasons, redaction, secrets, log set-up."""
