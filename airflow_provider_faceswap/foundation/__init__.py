"""What every room needs and knows no vendor: the clock, text that is safe to show, checked arguments."""
