"""Airflow provider for generated media and face swaps: each job paid for once, each result kept."""

__version__ = "0.1.0"
