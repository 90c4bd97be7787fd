"""Lineage and metrics of tasks."""
