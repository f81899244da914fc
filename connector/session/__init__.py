"""One session: a room leg and an agent leg around the audio core, from claim to end."""
