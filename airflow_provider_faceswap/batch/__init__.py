"""Many items in one task: items, their records, the runner, the report."""
