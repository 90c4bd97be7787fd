"""The life of one paid job: submission, ledger, polling decisions, waiting loops, outcomes."""
