"""What others are told of a task: lineage, OpenLineage, metrics."""
