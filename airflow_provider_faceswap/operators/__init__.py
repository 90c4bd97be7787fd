"""What a Dag is written with."""
