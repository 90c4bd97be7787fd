"""Many items in one task: items, records, runner, report."""
