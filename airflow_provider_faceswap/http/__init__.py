"""The only place that sends: the API client, the rate limiter, the safe download."""
