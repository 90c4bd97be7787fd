"""The sandbox's HTTP server: requests, jobs, accounts, files, faults. Names no vendor."""
