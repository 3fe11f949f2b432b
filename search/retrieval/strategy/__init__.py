"""PubMed's query language: reading a strategy, and finding the articles that it selects."""

from search.retrieval.strategy.strategy_parser import parse_strategy
from search.retrieval.strategy.strategy_tree import Strategy, StrategyLine, translation

__all__ = ["Strategy", "StrategyLine", "parse_strategy", "translation"]
