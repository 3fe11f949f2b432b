"""Measurements, one file each. `scripts/benchmark NAME` runs one."""
