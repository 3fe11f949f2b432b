"""PubMed's query language: reading a strategy, and finding the articles that it selects."""

from search.retrieval.strategy.evaluation import LineResult, StrategyAnswer, StrategyEvaluation, StrategyResult, selects
from search.retrieval.strategy.strategy_parser import parse_strategy
from search.retrieval.strategy.strategy_tree import Strategy, StrategyLine, translation

__all__ = [
    "LineResult",
    "Strategy",
    "StrategyAnswer",
    "StrategyEvaluation",
    "StrategyLine",
    "StrategyResult",
    "parse_strategy",
    "selects",
    "translation",
]
