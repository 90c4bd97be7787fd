"""The sandbox's HTTP server: requests, jobs, accounts, files, faults. No vendor-specific code."""
