"""rooms.yaml: the model, YAML with positions, secrets."""
