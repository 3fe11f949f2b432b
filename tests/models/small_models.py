"""Small random models in the layouts of real ones, written by transformers and sentence-transformers."""

import json
from pathlib import Path
from typing import Any

SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def _words(count: int = 3000) -> list[str]:
    """A vocabulary of letters, pieces and words, so that texts give many kinds of tokens."""
    letters = [chr(code) for code in range(33, 127)] + ["é", "ï", "β", "µ", "≥", "日", "本"]
    words = ["the", "of", "and", "risk", "cancer", "patients", "type", "study", "control", "adults", "sentence", "text"]
    pieces = [f"##{letter}" for letter in letters]
    return [*letters, *words, *pieces, *(f"##{a}{b}" for a in "abcdefghinorstu" for b in "aeioustrn")][:count]


def wordpiece_folder(folder: Path, model_type: str, **options: Any) -> None:
    """Write the tokenizer of BERT, DistilBERT or MPNet."""
    from transformers import BertTokenizer, MPNetTokenizer

    if model_type == "mpnet":
        tokens = ["<s>", "<pad>", "</s>", "[UNK]", *_words(), "<mask>"]
        tokenizer_class = MPNetTokenizer
    else:
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_words()]
        tokenizer_class = BertTokenizer
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer_class(vocab=vocabulary, model_max_length=512, **options).save_pretrained(folder)


def byte_level_folder(folder: Path, first: list[str]) -> None:
    """Write the tokenizer of RoBERTa: byte-level BPE without merges beyond a few."""
    from tokenizers import pre_tokenizers
    from transformers import RobertaTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("a", "n"), ("i", "n"), ("e", "r"), ("Ġt", "he")]
    tokens = [*first, *letters, *(a + b for a, b in merges), "<mask>"]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=512).save_pretrained(folder)


def unigram_folder(folder: Path, tokenizer_class: str) -> None:
    """Write the tokenizer of XLM-RoBERTa or CamemBERT: SentencePiece's unigram model."""
    import transformers

    pieces = [
        "▁",
        *(letter for letter in map(chr, range(33, 127))),
        "▁the",
        "▁risk",
        "▁of",
        "▁cancer",
        "an",
        "er",
        "in",
        "日",
    ]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -1.0 - number / 50) for number, piece in enumerate(pieces)] + [("<mask>", 0.0)]
    getattr(transformers, tokenizer_class)(vocab=vocabulary, model_max_length=512).save_pretrained(folder)


def transformer_folder(folder: Path, model_type: str, *, head: str = "Model", **options: Any) -> Path:
    """Write a small random transformer of a type, with its tokenizer."""
    import torch
    import transformers

    torch.manual_seed(3)
    name, config = {
        "bert": ("Bert", {"max_position_embeddings": 512}),
        "distilbert": ("DistilBert", {}),
        "mpnet": ("MPNet", {"max_position_embeddings": 514}),
        "roberta": ("Roberta", {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}),
        "xlm-roberta": ("XLMRoberta", {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}),
        "modernbert": ("ModernBert", {"pad_token_id": 0, "local_attention": 16, "num_hidden_layers": 4}),
        "qwen3": (
            "Qwen3",
            {"num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 512, "rms_norm_eps": 1e-6},
        ),
        "gemma3_text": (
            "Gemma3Text",
            {
                "num_key_value_heads": 1,
                "head_dim": 16,
                "max_position_embeddings": 512,
                "num_hidden_layers": 4,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
                "sliding_window": 12,
                "query_pre_attn_scalar": 20,
                "use_bidirectional_attention": True,
            },
        ),
        "camembert": ("Camembert", {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1}),
    }[model_type]
    folder.mkdir(parents=True, exist_ok=True)
    if model_type in ("bert", "distilbert", "mpnet", "modernbert", "qwen3", "gemma3_text"):
        wordpiece_folder(folder, model_type)
    elif model_type == "roberta":
        byte_level_folder(folder, ["<s>", "<pad>", "</s>", "<unk>"])
    else:
        unigram_folder(folder, f"{name}Tokenizer")
    size = dict(SMALL)
    if model_type == "distilbert":
        size = {"dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 96}
    settings = getattr(transformers, f"{name}Config")(vocab_size=600, **{**size, **config}, **options)
    model = getattr(transformers, f"{name}{head}")(settings)
    with torch.no_grad():
        # Fresh weights are so small that attention hardly matters and layer normalizations do nothing.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(folder)
    return folder


def t5_folder(folder: Path) -> Path:
    """Write a small random T5 encoder, a kind whose graph is not built from the weights."""
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(3)
    sizes = {"d_model": 48, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_heads": 4}
    T5EncoderModel(T5Config(vocab_size=600, **sizes)).save_pretrained(folder)
    wordpiece_folder(folder, "bert")
    return folder


def sentence_folder(
    folder: Path,
    transformer: Path,
    *,
    pooling: str | list[str] = "mean",
    dense: list[tuple[int, str]] | None = None,
    layer_norm: bool = False,
    normalized: bool = False,
    prompts: dict[str, str] | None = None,
    max_length: int | None = None,
    truncate_dim: int | None = None,
) -> Path:
    """Write a sentence-transformers model on a transformer: pooling, Dense, LayerNorm, Normalize, prompts, lengths."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as parts

    torch.manual_seed(4)
    first = parts.Transformer(str(transformer), max_seq_length=max_length)
    pool = parts.Pooling(first.get_embedding_dimension(), pooling_mode=pooling)
    modules = [first, pool]
    width = pool.pooling_output_dimension
    for size, activation in dense or []:
        modules.append(parts.Dense(width, size, activation_function=getattr(torch.nn, activation)()))
        width = size
    if layer_norm:
        modules.append(parts.LayerNorm(width))
    if normalized:
        modules.append(parts.Normalize())
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu", truncate_dim=truncate_dim)
    model.save(str(folder))
    return folder


def edit_json(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**content, **changes}))
