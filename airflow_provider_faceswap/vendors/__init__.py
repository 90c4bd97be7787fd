"""One file per vendor, without I/O: arguments to a request, a reply to a job."""
