"""Object storage and disks: paths, whole writes, records."""
