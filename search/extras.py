"""The parts of the program that the base installation leaves out: what each needs, and how to install it."""

from __future__ import annotations

import importlib.util

from search.errors import ConfigError

__all__ = ["install_command", "require"]

_DISTRIBUTION = "pubmed-semantic-search"


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra, wherever this program itself was installed from.

    >>> install_command("mcp")
    "pip install 'mcp>=2.0'"
    """
    from importlib.metadata import PackageNotFoundError, requires  # takes 20 ms

    try:
        requirements = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        requirements = []
    split = [requirement.partition(";")[::2] for requirement in requirements]
    packages = [package.strip() for package, marker in split if f'extra == "{extra}"' in marker.replace("'", '"')]
    # Run from a checkout whose metadata is absent, or older than the extra: pip finds the packages in pyproject.toml.
    return " ".join(["pip install", *(f"'{package}'" for package in packages or [f".[{extra}]"])])


def require(extra: str, purpose: str, *modules: str) -> None:
    """Raise ConfigError, with the command that installs them, unless the modules that an extra brings are there."""
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        raise ConfigError(f"{purpose} needs the extra `{extra}` ({', '.join(absent)}): {install_command(extra)}")
