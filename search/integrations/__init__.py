"""Other programs that use this one."""
