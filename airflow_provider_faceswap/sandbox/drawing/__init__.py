"""The pictures that the sandbox makes."""
