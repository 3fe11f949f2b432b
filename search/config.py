"""config.yml: one file for the command line, Python and txtai, read into a Config.

Keys that are txtai's own (workflow, pipelines by name or by dotted path, ...) are left to txtai.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from search.errors import ConfigError

__all__ = [
    "TXTAI_KEYS",
    "Config",
    "EutilsConfig",
    "ModelConfig",
    "NlmConfig",
    "ServeConfig",
    "PostgresConfig",
    "PromptsConfig",
    "config_from_dict",
    "find_config",
    "load_config",
]

#: Top-level keys of a txtai application file.
TXTAI_KEYS = frozenset(
    {
        "agent", "api", "cloud", "cluster", "embeddings", "mcp", "path", "routes", "upload", "workflow", "writable",
        "caption", "entity", "extractor", "filetohtml", "hfonnx", "hftrainer", "htmltomarkdown", "imagehash", "labels",
        "llm", "microphone", "mlonnx", "objects", "questions", "audiostream", "audiomixer", "audiorecord", "rag",
        "reranker", "segmentation", "sequences", "signal", "similarity", "summary", "tabular", "textractor",
        "texttoaudio", "texttospeech", "tokenizer", "transcription", "translation", "urlretrieve", "generator",
        "crossencoder", "lateencoder", "hfllm", "lemurtrainer", "nop", "sequencespipeline",
    }
)  # fmt: skip


class PromptsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model: prompts`: what is put before each text of a kind; None leaves it to the model's files."""

    query: str | None = None
    document: str | None = None


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model`, written as a mapping: a name, and what takes the place of what the model's files say.

    `pooling` is one of cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken, or several joined by `+`.
    `max_length` is in tokens, for both kinds of text or by kind (`query`, `document`). `dimension` keeps that many
    numbers of each vector, for models that were trained so (Matryoshka).
    """

    name: str
    revision: str | None = None
    pooling: str | None = None
    prompts: PromptsConfig = PromptsConfig()
    max_length: _Positive | dict[Literal["query", "document"], _Positive] | None = None
    dimension: _Positive | None = None
    precision: Literal["auto", "fp32", "bf16", "int8"] | None = None


class NlmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`nlm`: where NLM's files are had from. Without `downloads` they go to a folder of the index."""

    url: str = "https://ftp.ncbi.nlm.nih.gov/pubmed/"
    downloads: str | None = None
    timeout: float = 60.0


class EutilsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`eutils`: where PubMed is asked, and who NCBI is told is asking. A key is taken from the environment only."""

    url: str = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
    tool: str = "pubmed-semantic-search"
    email: str | None = None
    timeout: float = 60.0


class ServeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`serve`: where the page and the REST API are, who may use them, and what one request may take.

    `tokens` are hashes as `search token` prints them. `seconds`, `requests`, `body` (bytes) and `results` are limits.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    write: bool = False
    log_questions: bool = False
    seconds: float = 30.0
    requests: int = 256
    body: int = 262_144
    results: int = 1000


class PostgresConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`postgres`: how an index in PostgreSQL is used; seconds are to wait for a connection, and for a lost server."""

    connections: int = 8
    timeout: float = 30.0
    patience: float = 60.0
    quantization: Literal["none", "binary"] = "none"
    build_memory: str = "512MB"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What config.yml says, or the defaults. Every key is explained in the config.yml of the project."""

    index: str = "indexes/pubmed"
    model: str | ModelConfig = "builtin"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    vectors: Literal["float16", "float32"] = "float16"
    results: int = 10
    mode: Literal["semantic", "lexical", "hybrid"] = "semantic"
    mesh_tree: str | None = None
    rerank: str | None = None
    feedback: bool = True
    encode_on_demand: int = 64
    nlm: NlmConfig = NlmConfig()
    eutils: EutilsConfig = EutilsConfig()
    serve: ServeConfig = ServeConfig()
    postgres: PostgresConfig = PostgresConfig()

    @property
    def model_precision(self) -> str:
        """How models compute: what `model` says, else `precision`."""
        own = self.model.precision if isinstance(self.model, ModelConfig) else None
        return own or self.precision


def find_config() -> Path | None:
    """Return the file to read where none is named: `$SEARCH_CONFIG`, else `config.yml` in the current folder."""
    named = os.environ.get("SEARCH_CONFIG")
    if named:
        return Path(named)
    here = Path("config.yml")
    return here if here.is_file() else None


def load_config(path: str | Path | None = None) -> Config:
    """Read a config file; without a path the one that `find_config` finds, or the defaults where there is none.

    Raises ConfigError for a file that cannot be read, an unknown key (with the nearest known one), or a wrong value.
    """
    found = Path(path) if path is not None else find_config()
    if found is None:
        return Config()
    try:
        data = _read_yaml(found.read_bytes())
    except OSError as error:
        raise ConfigError(f"{found}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{found}: not valid YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return Config()
    if not isinstance(data, dict):
        raise ConfigError(f"{found}: a list of `key: value` lines is expected")
    return config_from_dict(data, str(found))


def _read_yaml(content: bytes) -> Any:
    """Return what a YAML file says. Raises ValueError for what is no YAML, and for more than a config can need."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(yaml.parse(content, Loader=loader), yaml)
        return yaml.load(content, Loader=loader)
    except (yaml.YAMLError, RecursionError, AttributeError, LookupError) as error:
        # The last two are how PyYAML fails at a value that is not what its tag says: `!!bool x`.
        raise ValueError(str(error) or type(error).__name__) from error


def _check_size(events: Iterable[Any], yaml: Any) -> None:
    """Raise ValueError for YAML that would take the stack or the memory when it is read.

    PyYAML's reader in C ends the process where lists are nested too deep, and merges of aliases of aliases grow
    tenfold with every line. Counted are the values that a document stands for once its aliases are written out.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    size = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, size))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = size - before
        size += sizes.get(event.anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
        if len(open_nodes) > _MOST_NESTED or size > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_NESTED} levels or {_MOST_VALUES:,} values")


#: Far more than any config has.
_MOST_NESTED, _MOST_VALUES = 100, 100_000


def config_from_dict(data: dict[Any, Any], name: str = "config") -> Config:
    """Make a Config of the keys of a YAML file that are not txtai's. Raises ConfigError; `name` is for its message."""
    known = set(Config.__struct_fields__)
    own = {}
    for key, value in data.items():
        if key in known:
            own[key] = value
        elif not (isinstance(key, str) and (key in TXTAI_KEYS or "." in key)):
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            raise ConfigError(f"{name}: unknown key `{key}`; the nearest known one is `{near[0]}`")
    try:
        config = msgspec.convert(own, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}") from error
    _check_values(config, name)
    _check_serve(config.serve, name)
    return config


def _check_values(config: Config, name: str) -> None:
    if rb"\u0000" in msgspec.json.encode(config):
        raise ConfigError(f"{name}: a value holds the character NUL, which no name can")
    if config.results < 1:
        raise ConfigError(f"{name}: `results` must be at least 1, not {config.results}")
    if config.encode_on_demand < 0:
        raise ConfigError(f"{name}: `encode_on_demand` must be at least 0, not {config.encode_on_demand}")
    if config.postgres.connections < 1 or not config.postgres.timeout > 0:
        raise ConfigError(f"{name}: `postgres: connections` and `timeout` must be more than 0")
    for key, service in (("nlm", config.nlm), ("eutils", config.eutils)):
        if not _is_address(service.url):
            raise ConfigError(
                f"{name}: `{key}: url` must be an https:// address without user and password, "
                f"not {service.url.rpartition('@')[2]!r}"
            )
        if not service.timeout > 0:
            raise ConfigError(f"{name}: `{key}: timeout` must be more than 0 seconds, not {service.timeout}")


def _is_address(url: str) -> bool:
    """Whether a URL is one of the web that messages may show: not with a password, which would get into them."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(known) and "@" not in parts.netloc and url.isprintable() and " " not in url


def _check_serve(serve: ServeConfig, name: str) -> None:
    if not 0 <= serve.port <= 65_535:
        raise ConfigError(f"{name}: `serve: port` must be from 0 (any that is free) to 65535, not {serve.port}")
    for key in ("seconds", "requests", "body", "results"):
        if not getattr(serve, key) > 0:
            raise ConfigError(f"{name}: `serve: {key}` must be more than 0, not {getattr(serve, key)}")
    for entry in serve.tokens:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", entry):
            raise ConfigError(f"{name}: `serve: tokens` holds hashes as `search token` prints them, not {entry[:12]!r}")
    for origin in serve.origins:
        if not re.fullmatch(r"https?://[^/*\s]+", origin):
            raise ConfigError(f"{name}: `serve: origins` holds origins like https://example.org, not {origin!r}")
