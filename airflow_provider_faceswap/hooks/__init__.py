"""Connections to vendors."""
