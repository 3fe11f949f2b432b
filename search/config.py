"""config.yml: one file for the command line, Python and txtai, read into a Config.

Keys that are txtai's own (workflow, pipelines by name or by dotted path, ...) are left to txtai.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from search.errors import ConfigError
from search.messages import explained

__all__ = [
    "Config",
    "EutilsConfig",
    "LlmConfig",
    "ModelConfig",
    "NlmConfig",
    "ServeConfig",
    "PostgresConfig",
    "PromptsConfig",
    "config_from_dict",
    "find_config",
    "load_config",
]

#: A key that nearly matches one of ours is reported as a mistake; any other belongs to txtai, which has a `reranker`.
_NEAR, _TXTAI_KEY = 0.75, "reranker"

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]
#: No name of a file, a model or a host holds the character NUL.
_Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]


class PromptsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model: prompts`: what is put before each text of a kind; None means: as the model's files say."""

    query: str | None = None
    document: str | None = None


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model`, written as a mapping: a name, and what takes the place of what the model's files say.

    `pooling` is one of cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken, or several joined by `+`.
    `max_length` is in tokens, for both kinds of text or by kind (`query`, `document`). `dimension` keeps that many
    numbers of each vector, for models that were trained so (Matryoshka). With `pairs` an article is read as the pair of
    its title and its abstract, as MedCPT was trained, not as one text.
    """

    name: str
    revision: str | None = None
    pooling: str | None = None
    prompts: PromptsConfig = PromptsConfig()
    max_length: _Count | dict[Literal["query", "document"], _Count] | None = None
    dimension: _Count | None = None
    pairs: bool = False
    precision: Literal["auto", "fp32", "bf16", "int8"] | None = None


class NlmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`nlm`: where NLM's files are downloaded from; without `downloads` they go to a folder of the index.

    `mesh_url` has the descriptors and supplementary concepts of MeSH.
    """

    url: str = "https://ftp.ncbi.nlm.nih.gov/pubmed/"
    mesh_url: str = "https://nlmpubs.nlm.nih.gov/projects/mesh/MESH_FILES/xmlmesh/"
    downloads: _Text | None = None
    timeout: _Seconds = 60.0


class EutilsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`eutils`: the address of PubMed's E-utilities, and the name sent to NCBI with each request.

    An API key is taken from the environment only.
    """

    url: str = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
    tool: str = "pubmed-semantic-search"
    email: str | None = None
    timeout: _Seconds = 60.0


class ServeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`serve`: where the page and the REST API are, who may use them, and what one request may take.

    `tokens` are hashes as `search token` prints them. `write` says whether searches may be saved: `None` lets this
    machine's own page and programs save them where nobody else can ask. `seconds`, `requests`, `body` (bytes),
    `files` (bytes of a request that brings files of references) and `results` are limits.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    write: bool | None = None
    log_questions: bool = False
    seconds: _Seconds = 30.0
    requests: _Count = 256
    body: _Count = 262_144
    files: _Count = 33_554_432
    results: _Count = 1000


class PostgresConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`postgres`: how an index in PostgreSQL is used; seconds are to wait for a connection, and for a lost server."""

    connections: _Count = 8
    timeout: _Seconds = 30.0
    patience: float = 60.0
    quantization: Literal["none", "binary"] = "none"
    build_memory: str = "512MB"


class LlmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`language_model`: what writes answers: `url` and `model` of a server with OpenAI's API, or a `path`.

    The key of a server is taken from the environment variable `key_variable` only. `tokens` is about how much the model
    is given as sources, `timeout` how many seconds it may be silent. With `strict`, sentences that fail the check are
    left out instead of marked.
    """

    url: _Text | None = None
    model: _Text | None = None
    path: _Text | None = None
    key_variable: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "SEARCH_LLM_KEY"
    tokens: _Count = 1500
    timeout: _Seconds = 120.0
    strict: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What config.yml says, or the defaults. Every key is explained in the config.yml of the project."""

    index: _Text = "indexes/pubmed"
    model: _Text | ModelConfig = "builtin"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    vectors: Literal["float16", "float32"] = "float16"
    results: _Count = 10
    mode: Literal["semantic", "lexical", "hybrid"] = "semantic"
    mesh_tree: _Text | None = None
    rerank: _Text | None = None
    feedback: bool = True
    citation_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    exact: bool = False
    encode_on_demand: Annotated[int, Meta(ge=0)] = 64
    nlm: NlmConfig = NlmConfig()
    eutils: EutilsConfig = EutilsConfig()
    serve: ServeConfig = ServeConfig()
    postgres: PostgresConfig = PostgresConfig()
    language_model: LlmConfig | None = None

    @property
    def model_precision(self) -> str:
        """How models compute: what `model` says, else `precision`."""
        own = self.model.precision if isinstance(self.model, ModelConfig) else None
        return own or self.precision


def find_config() -> Path | None:
    """Return the config file to read if none is named, or None.

    It is `$SEARCH_CONFIG`, or else `config.yml` in the current folder, in the nearest folder above it that has one with
    the key `index`, or in the user's folder for the settings of programs (`search` in `$XDG_CONFIG_HOME`).
    """
    named = os.environ.get("SEARCH_CONFIG")
    if named:
        return Path(named)
    here = Path("config.yml")
    if here.is_file():
        return here
    above = (folder / "config.yml" for folder in Path.cwd().parents)
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "search" / "config.yml"
    return next((path for path in above if _names_an_index(path)), own if own.is_file() else None)


def _names_an_index(path: Path) -> bool:
    """Whether a file is a config of this program: other programs have a config.yml too."""
    try:
        return path.is_file() and re.search(rb"(?m)^index\s*:", path.read_bytes()) is not None
    except OSError:
        return False


def load_config(path: str | Path | None = None) -> Config:
    """Read a config file; without a path, the one that `find_config` finds, otherwise the defaults.

    Paths in a file that is not in the current folder are relative to the file's folder. Raises ConfigError if the file
    cannot be read, a key is unknown (with the nearest known one), or a value is wrong.
    """
    file = Path(path) if path is not None else find_config()
    if file is None:
        return Config()
    try:
        data = _read_yaml(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return Config()
    if not isinstance(data, dict):
        raise ConfigError(f"{file}: a list of `key: value` lines is expected")
    config = config_from_dict(data, str(file))
    return config if path is not None or file.parent == Path() else _relative_to(config, file.parent.absolute())


def _relative_to(config: Config, folder: Path) -> Config:
    """Return the config with its paths relative to a folder."""

    def moved(path: str | None) -> str | None:
        return path if path is None or "://" in path else str(folder / Path(path).expanduser())

    nlm = msgspec.structs.replace(config.nlm, downloads=moved(config.nlm.downloads))
    llm = config.language_model
    # Without a folder or file of that name it is a name on the hub.
    if llm is not None and llm.path is not None and (folder / Path(llm.path).expanduser()).exists():
        llm = msgspec.structs.replace(llm, path=moved(llm.path))
    return msgspec.structs.replace(
        config, index=moved(config.index), mesh_tree=moved(config.mesh_tree), nlm=nlm, language_model=llm
    )


def _read_yaml(content: bytes) -> Any:
    """Return what a YAML file says. Raises ValueError if it is not YAML."""
    import yaml

    try:
        # The reader in C ends the process if lists are nested too deep.
        return yaml.load(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, AttributeError, LookupError) as error:
        # The last two are how PyYAML fails at a value that is not what its tag says: `!!bool x`.
        raise ValueError(str(error) or type(error).__name__) from error


def config_from_dict(data: dict[Any, Any], name: str = "config") -> Config:
    """Make a Config of the keys of a YAML file that are not txtai's. Raises ConfigError; `name` is for its message."""
    own = {}
    for key, value in data.items():
        if key in Config.__struct_fields__:
            own[key] = value
        elif key != _TXTAI_KEY and (near := difflib.get_close_matches(str(key), Config.__struct_fields__, 1, _NEAR)):
            raise ConfigError(f"{name}: unknown key `{key}`; the nearest known one is `{near[0]}`")
    try:
        config = msgspec.convert(own, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {explained(error, _FIELDS, 'key')}") from error
    except UnicodeEncodeError as error:
        raise ConfigError(f"{name}: a value holds half a surrogate pair, which no text can") from error
    _check_addresses(config, name)
    return config


_FIELDS = tuple(
    field
    for kind in (NlmConfig, EutilsConfig, LlmConfig, ServeConfig, PostgresConfig, Config)
    for field in kind.__struct_fields__
)


def _check_addresses(config: Config, name: str) -> None:
    addresses = {"nlm: url": config.nlm.url, "nlm: mesh_url": config.nlm.mesh_url, "eutils: url": config.eutils.url}
    for key, url in addresses.items():
        if not _is_address(url):
            raise ConfigError(
                f"{name}: `{key}` must be a web address (https:// or http://) without user and password, "
                f"not {url.rpartition('@')[2]!r}"
            )
    if config.language_model is not None:
        _check_language_model(config.language_model, name)
    for entry in config.serve.tokens:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", entry):
            raise ConfigError(f"{name}: `serve: tokens` holds hashes as `search token` prints them, not {entry[:12]!r}")
    for origin in config.serve.origins:
        if not re.fullmatch(r"https?://[^/*\s]+", origin):
            raise ConfigError(f"{name}: `serve: origins` holds origins like https://example.org, not {origin!r}")


def _check_language_model(llm: LlmConfig, name: str) -> None:
    if (llm.url is None) == (llm.path is None):
        raise ConfigError(f"{name}: `language_model` takes a `url` with a `model`, or the `path` of a local model")
    if llm.url is not None and not _is_address(llm.url):
        raise ConfigError(
            f"{name}: `language_model: url` must be a web address such as http://localhost:11434/v1, without user and "
            f"password, not {llm.url.rpartition('@')[2]!r}"
        )
    if llm.url is not None and not llm.model:
        raise ConfigError(f"{name}: `language_model: url` needs `model`, the name of a model that the server has")


def _is_address(url: str) -> bool:
    """Whether a URL is one of the web that messages may show: not with a password, which would get into them."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(known) and "@" not in parts.netloc and url.isprintable() and " " not in url
