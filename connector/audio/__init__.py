"""The audio core, pure: from a participant's frames to the agent, and from the agent's packets to the room."""
