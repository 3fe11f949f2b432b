"""The model card that a trained model's folder carries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from search.models.presets import BUILTIN, PRESETS, ModelFolders
from search.training.pairs import Pair
from search.training.parameters import TrainingParameters, TrainingReport

__all__ = ["Base", "describe_base", "model_card"]


class Base(NamedTuple):
    """What a model is trained from: its name, its hub name if it has one, its folder, and the new model's licence."""

    name: str
    hub_name: str | None
    folder: Path
    licence: str | None


def describe_base(found: ModelFolders, licence: str | None = None) -> Base:
    """Return what a card says of a base; without `licence` the base's own, from the presets or its card."""
    preset = PRESETS.get(found.name)
    hub_name: str | None = preset.document if preset is not None else found.name
    if found.name == BUILTIN or (preset is None and found.revision is None):
        hub_name = None
    if licence is None:
        licence = preset.licence if preset is not None else _licence_of(found.document)
    # A folder is named by its last part: where it lay says nothing to others.
    name = found.name if preset is not None or found.revision is not None else Path(found.name).name
    return Base(name, hub_name, found.document, licence)


def _licence_of(folder: Path) -> str | None:
    """Return the licence that the head of a model's card names, if there is one."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    named = re.search(r"(?m)^license: *(\S+) *$", head[1]) if head else None
    return named[1] if named else None


def model_card(report: TrainingReport, parameters: TrainingParameters, pairs: Sequence[Pair], base: Base) -> str:
    """Return the card in Markdown with the hub's YAML head: licence, data, counts, parameters as run, scores."""
    kinds = Counter(pair.kind or "pair" for pair in pairs)
    values = {**parameters.to_dict(), "warmup_steps": report.warmup_steps}
    head = [
        "---",
        *([f"license: {base.licence.lower()}"] if base.licence else []),
        *([f"base_model: {base.hub_name}"] if base.hub_name else []),
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        "tags: [sentence-transformers, sentence-similarity, feature-extraction, pubmed]",
        "---",
        f"# {report.output.name}",
        "",
        f"An embedding model for the medical literature, fine-tuned from `{base.hub_name or base.name}`.",
        f"Licence: {base.licence or 'unknown'}.",
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
        *(f"| {name} | {value} |" for name, value in values.items()),
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
