"""`connector doctor`: looks at the surroundings of a worker, one line each, and says what to do."""
