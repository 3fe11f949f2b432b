"""An answer of a language model as text, printed while it is written, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from search.cli.screen import console, plain, print_wrapped
from search.presentation.hit_record import as_json

if TYPE_CHECKING:
    from rich.text import Text

    from search.llm.answer import AnswerSentence, WrittenAnswer

__all__ = ["print_answer", "print_answer_json"]

_ENDS = {
    "cut off": "the answer was cut off here",
    "not answered": "the sources do not answer this question",
    "nothing near enough": "nothing near enough was found",
}


def print_answer(answer: WrittenAnswer) -> None:
    """Print the sentences as they come, each with its sources or with what is wrong with it, then the sources."""
    from rich.text import Text

    screen = console()
    for sentence in answer:
        print_wrapped(screen, _sentence(sentence), 0)
    if answer.status in _ENDS:
        screen.print(_ENDS[answer.status])
    if answer.dropped:
        screen.print(f"{answer.dropped} sentences failed the check and were left out")
    cited = {number for sentence in answer.sentences for number in sentence.citations}
    if not answer.sentences:
        return
    screen.print()
    screen.print(f"written by {plain(answer.model)}; checked by rules, which a reader must still do", style="dim")
    screen.print()
    for source in answer.sources:
        if source.number in cited:
            print_wrapped(screen, Text(plain(source.citation)), 5, f"[{source.number}]")


def print_answer_json(answer: WrittenAnswer) -> None:
    """Print the whole answer as JSON."""
    answer.read()
    names = ("question", "model", "status", "dropped", "sentences", "sources")
    click.echo(as_json({name: getattr(answer, name) for name in names}), nl=False)


def _sentence(sentence: AnswerSentence) -> Text:
    from rich.text import Text

    marks = "".join(f"[{number}]" for number in sentence.citations)
    text = Text(f"{plain(sentence.text)} ", style="" if not sentence.problems else "yellow")
    text.append(marks, style="dim")
    for notice in sentence.notices:
        text.append(f" {notice}", style="red")
    if sentence.problems:
        text.append(f" (not supported: {'; '.join(sentence.problems)})", style="yellow")
    return text
