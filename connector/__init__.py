"""The room connector: a Millis AI voice agent in LiveKit rooms."""
