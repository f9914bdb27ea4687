"""Plans of work and the state machine that carries them out, on any engine."""
