"""The agent leg: the offer call and the WebRTC peer towards Millis."""
