"""What every other room may use: the clock, redaction, argument validation."""
