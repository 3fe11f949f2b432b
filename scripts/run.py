"""`python scripts/run.py quickstart` and `python scripts/run.py test [PYTEST ARGUMENTS]`, on Linux, macOS and Windows.

For systems without bash; both do what scripts/quickstart and scripts/test do. They make .venv where there is none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
QUESTION = "does taking aspirin lower the risk of bowel cancer?"


def main() -> None:
    """Run what the first argument names."""
    task, arguments = " ".join(sys.argv[1:2]), sys.argv[2:]
    if task not in ("quickstart", "test"):
        sys.exit(f"usage: {__doc__}")
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        sys.exit("error: Python 3.10 to 3.13 is needed")
    os.chdir(ROOT)
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    quickstart() if task == "quickstart" else test(arguments)


def quickstart() -> None:
    """Install, index the sample records and ask a question."""
    install(".")
    search = [str(PYTHON), "-m", "search"]
    run(*search, "add", str(Path("search", "sample")), "--index", str(Path("indexes", "demo")))
    run(*search, "query", QUESTION, "--index", str(Path("indexes", "demo")), "-n", "5")
    print(f"The sample records are not real studies. With your own: {BIN / 'search'} --help")


def test(arguments: list[str]) -> None:
    """Run every check: formatting and lint, types, import layers, the wheel, tests."""
    constraints = Path("constraints.txt").read_text("utf-8").splitlines()
    # torch first and pinned: a range would take the newest build, with gigabytes of GPU libraries.
    install(*(line for line in constraints if line.startswith("torch==")))
    install(".[test]")
    for check in (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"]):
        run(str(PYTHON), "-m", *check)
    run(str(BIN / "lint-imports"))
    if not arguments:
        run(str(PYTHON), str(Path("scripts", "check_wheel.py")))
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    run(str(PYTHON), "-m", "pytest", *arguments)


def install(*packages: str) -> None:
    """Install packages at the versions of constraints.txt; this checkout stays editable."""
    targets = [word for package in packages for word in (["-e", package] if package.startswith(".") else [package])]
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-c", "constraints.txt"]
    # "compat" leaves a plain path behind: no finder, which would cost each start of Python 15 ms.
    run(*pip, "--config-settings", "editable_mode=compat", *targets)


def run(*command: str) -> None:
    """Run a command, and end with its status if it fails."""
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)


if __name__ == "__main__":
    main()
