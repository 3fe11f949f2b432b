"""Bring records into an index: read, prepare, plan, store, encode."""
