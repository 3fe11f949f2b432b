"""`python -m search` is the command `search`."""

from search.cli.main import main

main()
