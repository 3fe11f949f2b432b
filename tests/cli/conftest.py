"""What tests of commands share."""

import sys

import pytest

from search.cli import main as command_line


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder and return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def _run(*arguments):
        monkeypatch.setattr(sys, "argv", ["search", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        captured = capsys.readouterr()
        return stopped.value.code or 0, captured.out, captured.err

    return _run
