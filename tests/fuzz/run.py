"""Fuzz one target with atheris: `python tests/fuzz/run.py xml --seconds 600`. What it finds goes to the corpus.

The seconds are those of the processor: on a machine that others use, as many inputs are tried as on one at rest.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

with atheris.instrument_imports(include=["search"]):
    from fuzz.targets import TARGETS, kept, seeds


#: Seconds of the processor that one input may take; libFuzzer's own limit is of the clock, and only for what hangs.
_ONE_INPUT = 20


def _limited(target, seconds):
    """Return the target with a limit on each input; it asks libFuzzer to end once `seconds` are used."""

    def run(data):
        if time.process_time() > seconds:
            os.kill(os.getpid(), signal.SIGUSR1)
        signal.setitimer(signal.ITIMER_PROF, _ONE_INPUT)
        target(data)

    def too_slow(*_):
        raise TimeoutError(f"one input took {_ONE_INPUT} s")

    signal.signal(signal.SIGPROF, too_slow)
    return run


def main():
    """Run until the time is up; an error that is not this package's ends it, and its input is kept beside."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent / "corpus")
    options = parser.parse_args()
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds(options.target), *kept(options.target)]):
        (corpus / f"seed-{number}").write_bytes(data)
    flags = ["-max_len=20000", "-timeout=3600", "-report_slow_units=3600", "-rss_limit_mb=4096"]
    flags += ["-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={options.corpus}/{options.target}-"]
    atheris.Setup([sys.argv[0], str(corpus), *flags], _limited(TARGETS[options.target], options.seconds))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
