"""The sandbox's HTTP server: requests, jobs, files, faults."""
