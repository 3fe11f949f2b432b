"""A strategy after it is read: a small tree of terms, ranges of dates, references to lines, and AND, OR, NOT."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from search.retrieval.strategy.field_tags import FIELDS

__all__ = ["Combined", "DateRange", "LineReference", "Node", "Strategy", "StrategyLine", "Term", "translation"]

Operator: TypeAlias = Literal["AND", "OR", "NOT"]


class Term(msgspec.Struct, frozen=True, tag="term", omit_defaults=True):
    """Words with the tag of a field (`all` if none was written).

    `text` is without quotation marks and without the asterisk that `truncated` stands for. `distance` is the greatest
    number of other words between neighbours of a proximity search. `explode` is False after `:noexp`.
    `start` is the place of the term in the text that was read.
    """

    text: str
    field: str = "all"
    quoted: bool = False
    truncated: bool = False
    explode: bool = True
    distance: int | None = None
    start: int = 0


class DateRange(msgspec.Struct, frozen=True, tag="dates", omit_defaults=True):
    """Dates from `first` to `last` (yyyymmdd, inclusive) in a date field; `single` if one date was written."""

    field: str
    first: int
    last: int
    single: bool = False
    start: int = 0


class LineReference(msgspec.Struct, frozen=True, tag="line", omit_defaults=True):
    """What another line of a search history finds: `#3`."""

    number: int
    start: int = 0


class Combined(msgspec.Struct, frozen=True, tag="combined"):
    """Operands joined by one operator; with NOT, the first without all the others."""

    operator: Operator
    operands: tuple[Node, ...]


Node: TypeAlias = Term | DateRange | LineReference | Combined


class StrategyLine(msgspec.Struct, frozen=True):
    """One line of a strategy: its number, its text as it was read, and what it means."""

    number: int
    text: str
    tree: Node


class Strategy(msgspec.Struct, frozen=True):
    """A strategy: its lines, of which the last is the result, and notes about how the text was understood."""

    lines: tuple[StrategyLine, ...]
    notes: tuple[str, ...] = ()

    @property
    def result(self) -> StrategyLine:
        """The line whose articles the strategy selects."""
        return self.lines[-1]


def translation(node: Node) -> str:
    """Return what a tree means as PubMed's search details show it.

    >>> translation(Combined("AND", (Term("heart attack", "ti"), Term("aspirin"))))
    '"heart attack"[Title] AND "aspirin"[All Fields]'
    """
    if isinstance(node, Combined):
        parts = [
            f"({translation(part)})" if isinstance(part, Combined) else translation(part) for part in node.operands
        ]
        return f" {node.operator} ".join(parts)
    if isinstance(node, LineReference):
        return f"#{node.number}"
    name = FIELDS[node.field].name
    if isinstance(node, DateRange):
        return f"{_day(node.first)}:{_day(node.last)}[{name}]"
    if node.distance is not None:
        name += f":~{node.distance}"
    if not node.explode:
        name += ":noexp"
    return f'"{node.text}{"*" if node.truncated else ""}"[{name}]'


def _day(day: int) -> str:
    return f"{day // 10_000:04d}/{day // 100 % 100:02d}/{day % 100:02d}"
