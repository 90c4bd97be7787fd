"""Trigger for jobs."""
