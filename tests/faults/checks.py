"""What must hold of an index after every fault."""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
from faults.scenarios import command, held, patch

from search.article import embedding_text
from search.models.vectors import normalize

__all__ = ["Expected", "after_fault", "others", "state_of"]

_MODES = ("semantic", "lexical", "hybrid")


class Expected:
    """What an undisturbed run commits: `states` by change number, and the files that it leaves in the folder.

    `before` and `after` are what else there is (`others`).
    """

    def __init__(self, states, names, before, after):
        self.states = states
        self.names = names
        self.before = before
        self.after = after
        self.titles = {}
        for state in states.values():
            for pmid, (title, _) in state.items():
                self.titles.setdefault(pmid, set()).add(title)

    @property
    def last(self):
        """The state of the last change."""
        return self.states[max(self.states)]


def state_of(folder):
    """Return the change number and what the store of an index holds."""
    from search.storage.folder.sqlite_reader import StoreReader

    store = StoreReader(Path(folder) / "articles.db")
    try:
        return store.change(), {int(pmid): entry for pmid, entry in held(store).items()}
    finally:
        store.close()


def others(folder):
    """Return what there is beside articles: citations, retractions, saved searches, MeSH, and files beside an index."""
    from search.api import Index
    from search.retrieval.mesh_tree import load_mesh

    os.environ["SEARCH_CACHE"] = str(folder.parent / "cache")
    found = {path.name: path.read_text() for path in folder.parent.glob("*.ris")}
    tree = load_mesh(None)
    found["mesh"] = None if tree is None else sorted(tree.below("Heading 1"))
    if (folder / "manifest.json").exists():
        with Index.open(folder) as opened:
            pmids = [article.pmid for article in opened.articles()]
            found["citations"] = [[pmid, opened.cited_by(pmid).count] for pmid in pmids]
            found["retracted"] = [pmid for pmid in pmids if opened.get(pmid).is_retracted]
            for saved in opened.saved_searches():
                found[f"search {saved.name}"] = [saved.question, saved.runs[-1].change]
    return found


def after_fault(scenario, index, around, expected, reported, *, must_be_done):
    """Return what does not hold, a line each, of an index whose process said that change `reported` was committed.

    The index opens, `verify` passes, what was reported is found by every way of searching and what was deleted is not,
    the same command comes to its end, and all that holds again. `must_be_done`: the process said that all was done.
    """
    patch(scenario)
    problems = []
    if (index / "manifest.json").exists():
        problems += _check(index, expected, reported, must_be_done)
    elif reported > 1 or must_be_done:
        problems.append(f"there is no manifest, and change {reported} was reported as committed")
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = command(scenario, scenario.arguments, index, around)()
    if code:
        return [*problems, f"the next run ended with exit code {code}: {said.getvalue()}"]
    problems += [f"after the next run: {problem}" for problem in _check(index, expected, 0, True)]
    names = {path.name for path in index.iterdir()}
    if {_plain(name) for name in names} - expected.names:
        problems.append(f"left over: {sorted(names)}")
    return problems


def _others_wrong(index, expected, must_be_done):
    """Yield what beside articles is not as it was before or after the command; as after it, if that must be done."""
    found = json.loads(json.dumps(others(index)))
    for name, value in found.items():
        # Citations and retractions come with articles and in batches; the others are replaced.
        is_whole = name not in ("citations", "retracted")
        if value != expected.after.get(name) and (must_be_done or (is_whole and value != expected.before.get(name))):
            yield f"{name} is {value}, neither {expected.before.get(name)} nor {expected.after.get(name)}"


def _check_static(opened):
    """Return which static vectors are not what the index says that they are made with."""
    with opened._reader.view() as view:
        static = view.store.static()
        articles = {article.pmid: article for article in view.store.articles()}
        pmids, rows = view.store.static_vectors(articles)
        expected = static and normalize(static.documents([embedding_text(articles[pmid]) for pmid in pmids.tolist()]))
    if static is None:
        return ["there are static vectors of no model"] if len(pmids) else []
    wrong = pmids[~np.isclose(rows, expected).all(axis=1)].tolist()
    return [f"the static vectors of {wrong} are of another model"] if wrong else []


def _check(index, expected, reported, must_be_done):
    from search.api import Index

    problems = [f"verify: {problem}" for problem in Index.verify(index)]
    with Index.open(index) as opened:
        change = opened.status().change
        state = state_of(index)[1]
        problems += _check_static(opened)
        if must_be_done:
            wanted = expected.last
        else:
            # A run that is repeated has other numbers; what it holds must be one of the states all the same.
            wanted = expected.states.get(change)
            if change < reported:
                problems.append(f"change {reported} was reported as committed and {change} is the last")
        if state != wanted:
            problems.append(f"the store is in no committed state at change {change}: {_difference(state, wanted)}")
        problems += _searched(opened, state, expected.titles)
    problems += _others_wrong(index, expected, must_be_done)
    return problems


def _searched(opened, state, titles):
    """Look for every article by its own words, and for what is deleted or was revised, in every mode."""
    questions = [(pmid, title) for pmid, several in sorted(titles.items()) for title in sorted(several)]
    for mode in _MODES:
        answers = opened.search([title for _, title in questions], 2, mode=mode, fold=False)
        for (pmid, title), hits in zip(questions, answers, strict=True):
            strange = [hit.pmid for hit in hits if hit.pmid not in state or hit.article.title != state[hit.pmid][0]]
            if strange:
                yield f"{mode} finds {strange} that is not in the index as such"
            is_current = pmid in state and state[pmid][0] == title
            has_vector = pmid in state and state[pmid][1]
            if is_current and (has_vector or mode == "lexical") and (not hits or hits[0].pmid != pmid):
                yield f"{mode} does not find {pmid} first, but {[hit.pmid for hit in hits]}"


def _plain(name):
    """A name without the number of its generation."""
    return "".join(character for character in name if not character.isdigit())


def _difference(state, wanted):
    if wanted is None:
        return "there is no such change"
    pmids = [pmid for pmid in state.keys() | wanted.keys() if state.get(pmid) != wanted.get(pmid)]
    return json.dumps({pmid: [state.get(pmid), wanted.get(pmid)] for pmid in sorted(pmids)})
