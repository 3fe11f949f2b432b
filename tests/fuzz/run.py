"""Fuzz one target with atheris: `python tests/fuzz/run.py xml --seconds 600`. What it finds is kept in the corpus."""

import argparse
import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

with atheris.instrument_imports(include=["search"]):
    from fuzz.targets import TARGETS, seeds

    import search.query.tags
    import search.sources.jsonl
    import search.sources.medline_xml
    import search.sources.nbib  # noqa: F401


def main():
    """Run until the time is up; an error that is not this package's ends it, and its input is kept beside."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent / "corpus")
    options = parser.parse_args()
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(options.target)):
        (corpus / f"seed-{number}").write_bytes(data)
    flags = [f"-max_total_time={options.seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=4096"]
    flags += ["-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={options.corpus}/{options.target}-"]
    atheris.Setup([sys.argv[0], str(corpus), *flags], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
