"""The life of one paid job: decisions, waiting loops, the ledger, the purchase."""
