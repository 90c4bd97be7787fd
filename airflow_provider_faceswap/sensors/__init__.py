"""Waiting for a job that something else bought."""
