"""Archived results: sources, file names, manifests, and the store."""
