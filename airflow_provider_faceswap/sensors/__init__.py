"""Sensor for jobs."""
