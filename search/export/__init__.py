"""Writing articles in other formats."""
