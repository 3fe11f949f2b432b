"""Disturbs scenarios at every point, or at some, and tells what did not hold. Runs in a process of its own.

It imports everything once and then forks for every run, so that a fault costs tenths of a second. Prints a line of
JSON for each problem, and a summary for each scenario.
"""

import argparse
import errno
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults.checks import Expected, after_fault, others, state_of  # noqa: E402
from faults.durability import Disk  # noqa: E402
from faults.scenarios import SCENARIOS, command, surroundings  # noqa: E402
from faults.supervisor import apart, supervise  # noqa: E402

#: What is done to a call: the process is killed before it, or in the middle of it; there is no space from then on,
#: after half of a write; this one fails; or the power goes, with two ideas of what a disk keeps then.
KINDS = ("kill", "tear", "full", "fail", "power-strict", "power-named")


#: What a command imports, loaded before the forks. Nothing of it starts a thread, and none of it is used here.
_LOADED = (
    "faiss", "h11", "httpcore", "lxml.etree", "rich.progress", "rich.table", "sqlite_utils", "tantivy", "search.api",
    "search.cli.articles", "search.cli.index", "search.cli.main", "search.cli.output", "search.cli.progress",
    "search.cli.sync", "search.ingest.pipeline", "search.models", "search.pubmed.eutils", "search.formats.jsonl",
    "search.formats.pubmed_xml.source", "search.pubmed.sync",
    "encodings.idna", "yaml",
)  # fmt: skip


class Lab:
    """One scenario: the folder it starts from, what an undisturbed run does, and runs that are disturbed."""

    def __init__(self, scenario, around, root):
        self.scenario = scenario
        self.around = around
        self.root = root
        self.base = root / "base"
        self.base.mkdir()
        self.powers = []
        for line in scenario.prepare:
            code = apart(lambda line=line: str(command(scenario, line, self.base / "index", around)()))
            if code != "0":
                raise RuntimeError(f"{line} ended with exit code {code}")
        self._record()

    def _record(self):
        """Run undisturbed once: the calls, the states, and what is durable when."""
        states = {0: {}}
        before = json.loads(apart(lambda: json.dumps(others(self._copy("look") / "index"))))
        if (self.base / "index").exists():
            # A reader may leave files of its own; the base stays as it is.
            copy = self._copy("look")
            change, state = json.loads(apart(lambda: json.dumps(state_of(copy / "index"))))
            states[change] = {int(pmid): entry for pmid, entry in state.items()}
        work = self._copy("work")
        disk = Disk(work)
        seen = set()

        def decide(number, call, outcome):
            reported = _reported(outcome.reports)
            self._note_power("power-strict", number, (disk.version, reported), seen, disk.write_strict, reported)
            self._note_power("power-named", number, (_names(work), disk.version), seen, disk.write_named, reported)
            disk.note(call)

        run = self._command(work / "index", states=True)
        self.outcome = outcome = supervise(run, work, decide)
        if outcome.code:
            raise RuntimeError(f"{self.scenario.name} ended with {outcome.code}: {outcome.said}")
        for report in outcome.reports:
            if report.startswith("state "):
                change, state = json.loads(report[6:])
                states[change] = {int(pmid): entry for pmid, entry in state.items()}
        names = {path.name for path in (work / "index").iterdir()} | {"articles.db-wal", "articles.db-shm"}
        after = json.loads(apart(lambda: json.dumps(others(work / "index"))))
        self.expected = Expected(states, {_without_digits(name) for name in names}, before, after)
        self._note_power("power-strict", 0, disk.version, seen, disk.write_strict, max(states), done=True)
        self._note_power("power-named", 0, disk.version, seen, disk.write_named, max(states), done=True)

    def _note_power(self, kind, number, state, seen, write, reported, *, done=False):
        """Keep a copy of what a power cut would leave now, unless nothing has changed since the last."""
        if (kind, state, done) in seen:
            return
        seen.add((kind, state, done))
        copy = self.root / f"{kind}-{len(self.powers)}"
        write(copy)
        self.powers.append((kind, number, copy, reported, done))

    def _copy(self, name):
        work = self.root / name
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.base, work)
        return work

    def _command(self, index, *, states=False):
        return command(self.scenario, self.scenario.arguments, index, self.around, states=states)

    def faults(self):
        """Every fault there is: (kind, number of the call, or of the power cut)."""
        found = []
        for number, call in enumerate(self.outcome.calls, start=1):
            found += [("kill", number), ("fail", number)]
            found += [("tear", number)] if call.is_write else []
            found += [("full", number)] if call.takes_space else []
        return found + [(power[0], place) for place, power in enumerate(self.powers)]

    def try_fault(self, kind, number):
        """Bring one fault about and return (what it hit, what did not hold)."""
        if kind.startswith("power"):
            _, call, copy, reported, done = self.powers[number]
            what = f"power cut before call {call}"
            return what, self._checked(copy / "index", reported, done)
        work = self._copy("work")
        outcome = supervise(self._command(work / "index"), work, _decision(kind, number))
        problems = _said_badly(kind, outcome)
        done = outcome.code == 0 and not self.scenario.is_answer
        problems += self._checked(work / "index", _reported(outcome.reports), done)
        return f"call {number}: {outcome.hit}, exit code {outcome.code}, said {outcome.said[-600:]!r}", problems

    def _checked(self, index, reported, done):
        def check():
            problems = after_fault(self.scenario, index, self.around, self.expected, reported, must_be_done=done)
            return json.dumps(problems)

        try:
            return json.loads(apart(check).splitlines()[-1])
        except RuntimeError as error:
            return [str(error)]


def _decision(kind, number):
    """Return what `supervise` is to ask before every call."""

    def decide(current, call, _):
        if current < number:
            return None
        if kind == "full":
            if current == number:
                return "short" if call.is_write else errno.ENOSPC if call.takes_space else None
            return errno.ENOSPC if call.takes_space else None
        if current > number:
            return None
        return errno.EIO if kind == "fail" else kind

    return decide


def _said_badly(kind, outcome):
    """A process that was not killed ends by itself, and tells an error in words."""
    if outcome.hung:
        return ["it hung"]
    if kind in ("kill", "tear"):
        return [] if outcome.code in (-9, 0) else [f"ended with {outcome.code}: {outcome.said}"]
    if outcome.code not in (0, 1):
        return [f"ended with {outcome.code}"]
    if "Traceback" in outcome.said or "panicked" in outcome.said:
        return ["did not tell the error in words"]
    if outcome.code == 1 and "error: " not in outcome.said:
        return ["said nothing of an error"]
    return []


def _reported(reports):
    return max((int(report.split()[1]) for report in reports if report.startswith("commit ")), default=0)


def _names(folder):
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))


def _without_digits(name):
    return "".join(character for character in name if not character.isdigit())


def load():
    """Import what the forked processes will need."""
    for module in _LOADED:
        importlib.import_module(module)


def main():
    """Run the scenario that is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"Of {', '.join(SCENARIOS)}; all without one.")
    parser.add_argument("--sample", type=int, help="Try so many faults of each scenario, drawn by chance.")
    parser.add_argument("--seed", type=int, default=0, help="What the sample is drawn with.")
    parser.add_argument("--kind", choices=KINDS, help="Try faults of one kind only")
    parser.add_argument("--only", help="Try one fault, as a problem names it: kill:17")
    options = parser.parse_args()
    load()

    shared = Path("/dev/shm")
    failed = 0
    for name in options.scenarios or SCENARIOS:
        with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
            root = Path(folder)
            os.environ["XDG_CACHE_HOME"] = str(root / "cache")
            with surroundings(root / "around") as around:
                failed += _try_all(Lab(SCENARIOS[name], around, root), options)
    sys.exit(1 if failed else 0)


def _try_all(lab, options):
    faults = lab.faults()
    if options.kind:
        faults = [fault for fault in faults if fault[0] == options.kind]
    whole = len(faults)
    if options.only:
        kind, number = options.only.split(":")
        faults = [(kind, int(number))]
    elif options.sample is not None:
        faults = random.Random(options.seed).sample(faults, min(options.sample, whole))
    failed = 0
    for kind, number in faults:
        try:
            what, problems = lab.try_fault(kind, number)
        except Exception:
            what, problems = "the harness", [traceback.format_exc()]
        failed += bool(problems)
        if problems or options.only:
            record = {
                "scenario": lab.scenario.name, "fault": f"{kind}:{number}", "what": what, "problems": problems[:5]
            }  # fmt: skip
            sys.stdout.write(json.dumps(record) + "\n")
    counts = {kind: sum(fault[0] == kind for fault in faults) for kind in KINDS}
    summary = {"scenario": lab.scenario.name, "calls": len(lab.outcome.calls), "tried": counts, "failed": failed}
    sys.stdout.write(json.dumps(summary) + "\n")
    sys.stdout.flush()
    return failed


if __name__ == "__main__":
    main()
