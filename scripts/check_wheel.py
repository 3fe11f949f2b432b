"""Build the wheel, install it alone in an empty environment, weigh that, and use it from another folder.

Fails past the size that the README names, if a file of the package is missing from the wheel, or if a command fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Megabytes (10^6 bytes) of site-packages, without pip and without the bytecode that Python writes when it first
#: imports a module (about 50 MB more, which can be deleted at any time).
MOST_MEGABYTES = 480

#: What the package needs besides its modules.
DATA = (
    "py.typed",
    "sample",
    "models/builtin/model.safetensors",
    "models/builtin/tokenizer.json",
    "models/builtin_static/static_vectors.safetensors",
    "retrieval/role_model",
    "web/page/index.html",
)

QUESTION = "does taking aspirin lower the risk of bowel cancer?"
HEAVY = ("torch", "transformers", "sentence_transformers", "txtai", "scipy", "sklearn", "pandas")


def main() -> None:
    """Run all of it in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="search-wheel-") as place:
        folder = Path(place)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "wheel", "--no-deps", "--wheel-dir", place, str(ROOT)], folder)
        (wheel,) = folder.glob("*.whl")
        venv.create(folder / "env", with_pip=False, symlinks=os.name != "nt")
        python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        constraints = ["-c", str(ROOT / "constraints.txt")]
        _run([*pip, "--python", str(python), "install", "--no-compile", *constraints, str(wheel)], folder)
        packages = Path(
            _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
        )
        _weigh(packages)
        missing = [name for name in DATA if not (packages / "search" / name).exists()]
        if missing:
            sys.exit(f"error: the wheel lacks {', '.join(missing)}")
        _use(python, packages, folder)


def _run(command: list[str], folder: Path) -> str:
    """Run a command in a folder, with none of this checkout on its path, and return what it prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SEARCH_"))}
    environment |= {"SEARCH_CACHE": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} ended with status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _weigh(packages: Path) -> None:
    """Print the size of the installed packages, the largest first; exit with an error past the limit."""
    sizes: dict[str, int] = {}
    for path in packages.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc":
            name = path.relative_to(packages).parts[0].removesuffix(".libs")
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    total = sum(sizes.values()) / 1e6
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    print(f"base installation: {total:.0f} MB;", ", ".join(f"{name} {size / 1e6:.0f}" for name, size in largest))
    if total > MOST_MEGABYTES:
        sys.exit(f"error: the base installation is {total:.0f} MB, more than {MOST_MEGABYTES}")
    present = [name for name in HEAVY if (packages / name).exists()]
    if present:
        sys.exit(f"error: the base installation brings {', '.join(present)}")


def _use(python: Path, packages: Path, folder: Path) -> None:
    """Index the sample, ask, export, start a server's application: in another folder."""
    search = [str(python), "-m", "search"]
    _run([*search, "add", str(packages / "search" / "sample"), "--index", "index"], folder)
    answer = _run([*search, "query", QUESTION, "--index", "index", "--evidence", "1", "--json"], folder)
    if '"pmid": 9900000' not in answer:
        sys.exit(f"error: the sample did not answer the question: {answer[:500]}")
    _run([*search, "export", "--query", QUESTION, "-n", "5", "--format", "ris", "--index", "index"], folder)
    _run([*search, "verify", "--index", "index"], folder)
    program = (
        "from search.config import Config\nfrom search.web.app import make_app\n"
        "from search.web.service import Service\n"
        "service = Service('index', Config())\nmake_app(service)\n"
        "print(service.index.status().articles)\nservice.close()"
    )
    if _run([str(python), "-c", program], folder).strip() != "220":
        sys.exit("error: the server does not see the 220 records of the sample")
    print("the wheel works in an empty environment: add, query, export, verify, serve")


if __name__ == "__main__":
    main()
