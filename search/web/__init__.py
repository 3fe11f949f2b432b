"""The REST API and the page to search with: one process, one index, nothing loaded from elsewhere."""
