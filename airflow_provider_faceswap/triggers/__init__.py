"""The one trigger."""
