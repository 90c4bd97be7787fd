"""Money of a budget: reserved before a purchase, and spent after it."""
