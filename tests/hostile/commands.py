"""Runs commands of the program one after the other, from a JSON list, and says how each ended.

In a network namespace of its own it also says how many packets found no way out, whoever sent them.
"""

import io
import json
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


class _Output(io.TextIOWrapper):
    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def said(self):
        return self.buffer.getvalue().decode()


def run(arguments):
    """The exit code of one command, and what it printed."""
    out, sys.argv = _Output(), ["search", *arguments]
    code = 0
    with redirect_stdout(out), redirect_stderr(out):
        try:
            if arguments[0] == "-c":
                exec(compile(arguments[1], "code", "exec"), {})
            else:
                from search.cli.main import main

                main()
        except SystemExit as error:
            code = error.code or 0
        except BaseException:
            traceback.print_exc()
            code = -1
    return [code, out.said()[-2000:]]


def without_a_way_out():
    """How many packets of this namespace had no route."""
    rows = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    four = dict(zip(*rows, strict=True))["OutNoRoutes"]
    six = dict(line.split() for line in Path("/proc/self/net/snmp6").read_text().splitlines())["Ip6OutNoRoutes"]
    return int(four) + int(six)


if __name__ == "__main__":
    ended = [run(arguments) for arguments in json.loads(sys.stdin.read())]
    sys.stdout.write(json.dumps({"ended": ended, "lost": without_a_way_out()}))
