"""Keep a result: the file in object storage, and its manifest."""
