"""The names that a txtai workflow YAML file uses: `search.workflow.Search` and the others."""

from search.integrations.txtai import *  # noqa: F403
from search.integrations.txtai import __all__  # noqa: F401
