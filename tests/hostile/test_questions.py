"""Questions that mean harm: reading one takes work that grows with its length, and no faster."""

import sys

import pytest

from search.errors import QueryError
from search.retrieval import tags
from search.retrieval.strategy import strategy_lexer, strategy_parser
from search.retrieval.strategy.strategy_parser import parse_strategy
from search.retrieval.tags import parse_question

SHAPES = {
    "open, then closed": lambda n: "(" * n + "a[pt]" + ") and" * n,
    "nested": lambda n: "(" * n + "a[pt]" + ")" * n,
    "open": lambda n: "(a[pt] or " * n + "b[pt]",
    "closed": lambda n: ") a[pt] " * n,
    "groups": lambda n: "(a) " * n + "a[pt]",
    "groups of filters": lambda n: "(a[pt]) and " * n + "a[pt]",
    "filters": lambda n: "a[pt] " * n,
    "or": lambda n: "a[pt] OR " * n + "b[pt]",
    "not": lambda n: "NOT " * n + "a[pt]",
    "pmids": lambda n: "1 ," * n + "x[pmid]",
    "dates": lambda n: "2015 " * n + "x[dp]",
    "days": lambda n: "2015/01/01:" * n + "x[dp]",
    "ranges": lambda n: "2015[dp]:" * n + "2016[dp]",
    "quotes": lambda n: '"' * n + "a[pt]",
    "quoted": lambda n: '"a ' * n + "a[pt]",
    "brackets": lambda n: "[" * n + " a[pt]",
    "tags": lambda n: "[pt" * n + " a[pt]",
    "inside a word": lambda n: "a" + "(a" * n + " a[pt]",
    "commas": lambda n: ", " * n + "a[pt]",
    "words": lambda n: "a b c d " * n + "[mh]",
}


def lines_run(parse, text, modules):
    """How many lines of some modules are run to read a text, whether it can be read or not."""
    files = {module.__file__ for module in modules}
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parse(text)
    except QueryError:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("parse", "modules"),
    [(parse_question.__wrapped__, [tags]), (parse_strategy, [strategy_lexer, strategy_parser])],
    ids=["question", "strategy"],
)
def test_the_work_grows_no_faster_than_the_question(parse, modules, shape):
    small, large = (lines_run(parse, SHAPES[shape](n), modules) for n in (200, 800))
    assert large < 5 * small + 1000
