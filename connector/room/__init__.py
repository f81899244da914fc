"""The room leg: one LiveKit room, joined as an agent participant."""
