"""The three vendors, played."""
