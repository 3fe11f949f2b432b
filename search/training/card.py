"""The model card that a trained model's folder carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from search.training.pairs import Pair
from search.training.parameters import TrainingParameters, TrainingReport

__all__ = ["model_card"]


def model_card(report: TrainingReport, parameters: TrainingParameters, pairs: Sequence[Pair], licence: str) -> str:
    """Return the card in Markdown with the hub's YAML head: data, counts, parameters, scores, licence."""
    kinds = Counter(pair.kind or "pair" for pair in pairs)
    head = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, sentence-similarity, feature-extraction, pubmed]",
        "---",
        f"# {report.output.name}",
        "",
        f"An embedding model for the medical literature, fine-tuned from `{report.base}`.",
        f"Licence: {licence}.",
        "",
        "## Use",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        f'model = SentenceTransformer("{report.output.name}")',
        "```",
        "",
        "## Data",
        "| kind of pair | pairs |",
        "|---|---|",
        *(f"| {kind} | {count:,} |" for kind, count in sorted(kinds.items())),
        "",
        f"{report.held_out:,} pairs, and all pairs of the same articles, were held out.",
        "",
        "## Training",
        f"MultipleNegativesRankingLoss (cosine), {report.steps:,} steps.",
        "",
        "| parameter | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in parameters.to_dict().items()),
        "",
        "## Scores",
        "Pearson correlation (x100) of the cosines with 1 for held-out pairs and 0 for as many shuffled ones.",
        "",
        "| model | held-out pairs |",
        "|---|---|",
        f"| base | {report.score_before:.2f} |",
        f"| this model | {report.score_after:.2f} |",
        "",
    ]
    return "\n".join(head)
