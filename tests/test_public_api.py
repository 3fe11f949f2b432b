"""The public names are what they are said to be, documented, and their examples run."""

import ast
import doctest
import inspect
import itertools
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import search
import search.errors
from search.config import Config, config_from_dict, load_config
from search.errors import ConfigError
from search.retrieval.filters import Filters, MeshTerm

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_these():
    assert search.__all__ == [
        "Article",
        "Config",
        "Deletion",
        "Filters",
        "Hit",
        "Hits",
        "Index",
        "SearchError",
        "Status",
        "load_config",
    ]
    assert all(inspect.getdoc(getattr(search, name)) for name in search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Idnex'"):
        search.Idnex  # noqa: B018


def test_every_method_of_the_index_has_an_example():
    for name, method in inspect.getmembers(search.Index, inspect.isfunction):
        if not name.startswith("_") and name not in ("close",):
            assert ">>>" in inspect.getdoc(method), name


def test_every_error_is_a_search_error_and_in_the_tree():
    for name in search.errors.__all__:
        assert issubclass(getattr(search.errors, name), search.SearchError)
        assert re.search(rf"\b{name}\b", search.errors.__doc__)


def test_examples_run(built_demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import search.api

    finder = doctest.DocTestFinder(recurse=True)
    runner = doctest.DocTestRunner()
    for module in (search, search.api):
        for example in finder.find(module, extraglobs={"Index": search.Index}):
            shutil.rmtree("indexes", ignore_errors=True)
            shutil.copytree(built_demo, "indexes/demo")
            runner.run(example)
    assert runner.tries > 20
    assert runner.failures == 0


def test_config_yml_explains_every_key_and_gives_the_defaults():
    text = (ROOT / "config.yml").read_text()
    data = yaml.safe_load(text)
    assert load_config(ROOT / "config.yml") == Config()
    for key in Config.__struct_fields__:
        assert key in data
        assert re.search(rf"^#.*\n{key}:", text, re.MULTILINE), f"{key} is not explained"


def test_keys_of_txtai_are_left_to_txtai():
    from txtai.pipeline import PipelineFactory

    own = ["agent", "api", "cluster", "embeddings", "mcp", "path", "routes", "upload", "workflow", "writable"]
    for key in [*PipelineFactory.list(), *own, "some.module.Class"]:
        assert config_from_dict({key: {}}) == Config(), key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resluts: 3", "unknown key `resluts`; the nearest known one is `results`"),
        ("nlm: {urll: x}", "no key 'urll' in nlm: did you mean 'url'?"),
        ("results: many", "key results: expected `int`, got `str`"),
        ("results: 0", "key results: expected `int` >= 1"),
        ("precision: int4", "key precision: invalid enum value 'int4'"),
        ("- a list", "`key: value` lines"),
        ("a: [", "not valid YAML"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_the_config_is_found_from_a_folder_below_and_its_paths_are_its_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("SEARCH_CONFIG", raising=False)
    below = tmp_path / "project" / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_config() == Config()
    own = tmp_path / "own" / "search" / "config.yml"
    own.parent.mkdir(parents=True)
    own.write_text("index: /somewhere\n")
    assert load_config().index == "/somewhere"
    # Another program's config.yml is none of ours, and neither is what it holds.
    (tmp_path / "project" / "a" / "config.yml").write_text("title: My page\n")
    (tmp_path / "project" / "config.yml").write_text("index: indexes/mine\nmodel: minilm\n")
    assert load_config().index == str(tmp_path / "project" / "indexes" / "mine")
    (below / "config.yml").write_text("results: 3\n")
    assert (load_config().results, load_config().index) == (3, "indexes/pubmed")
    monkeypatch.setenv("SEARCH_CONFIG", str(own))
    assert load_config().index == "/somewhere"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "both"}, "no mode 'both'"),
        ({"mode": "Hybrid"}, "did you mean 'hybrid'"),
        ({"evidence": -1}, "at least 0, not -1"),
        ({"limit": -1}, "at least 1, not -1"),
        ({"filters": {"yaer_from": 2000}}, "did you mean 'year_from'"),
        ({"filters": ["Asthma"]}, "not list"),
    ],
)
def test_mistakes_in_options_are_errors_of_the_package(built_demo, options, message):
    from search.errors import QueryError

    with search.Index.open(built_demo) as index, pytest.raises(QueryError, match=message):
        index.search("aspirin", **options)


def test_filters_may_be_a_dict_and_hits_show_themselves_briefly(built_demo):
    with search.Index.open(built_demo) as index:
        hits = index.search("aspirin and bowel cancer", 3, filters={"year_from": 2000, "mesh": ["Aspirin"]}, evidence=1)
        expected = index.search(
            "aspirin and bowel cancer",
            3,
            filters=search.Filters(year_from=2000, mesh=(MeshTerm("Aspirin"),)),
            evidence=1,
        )
        assert repr(index) == f"<Index {built_demo}, model builtin>"
    assert hits == expected and len(hits) == 3
    assert repr(hits[0]).startswith(f"<Hit 1: {hits[0].score:.3f}, PMID {hits[0].pmid}, ") and len(repr(hits[0])) < 120
    assert f'href="{hits[0].article.url}"' in hits[0]._repr_html_()
    assert hits[0].to_dict()["article"]["pmid"] == hits[0].pmid


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda index: index.search("aspirin", 2.5), "the number of results must be a whole number, not 2.5"),
        (lambda index: index.search("aspirin", "5"), "must be a whole number, not '5'"),
        (lambda index: index.search("aspirin", evidence="all"), "evidence sentences must be a whole number, not 'all'"),
        (lambda index: index.search("aspirin", min_score="high"), "min_score must be a number, not 'high'"),
        (lambda index: index.search(None), "a question is a text, not NoneType"),
        (lambda index: index.search(["aspirin", 5]), "a question is a text, not int"),
        (lambda index: index.get("990000025"), "'990000025' is not a valid PMID"),
        (lambda index: index.get_many([990000025, "x"]), "'x' is not a valid PMID"),
        (lambda index: index.similar("990000025"), "'990000025' is not a valid PMID"),
        (lambda index: index.delete(["x"]), "'x' is not a valid PMID"),
        (lambda index: index.cited_by(990000025, -3), "the number of results must be at least 1, not -3"),
        (
            lambda index: index.search("x", filters=Filters(journals="BMJ")),
            r"takes a list of values: \['BMJ'\]",
        ),
        (
            lambda index: index.search("x", filters=Filters(mesh=("Asthma",))),
            r"mesh takes MeshTerm\('Asthma'\)",
        ),
        (
            lambda index: index.search("x", filters=Filters(year_from="x")),
            "'x' is not a valid year",
        ),
    ],
)
def test_a_value_of_another_kind_is_an_error_with_a_message(built_demo, call, message):
    with search.Index.open(built_demo) as index, pytest.raises(search.SearchError, match=message):
        call(index)


def test_hits_make_a_table_of_pandas_and_a_list_in_a_notebook(built_demo, monkeypatch):
    with search.Index.open(built_demo) as index:
        hits = index.search("aspirin and bowel cancer", 3, evidence=1)
        assert isinstance(index.similar(hits[0].pmid, 2), search.Hits)
        assert [type(answer) for answer in index.search(["aspirin", "asthma"], 1)] == [search.Hits, search.Hits]
    table = hits.to_pandas()
    assert list(table["pmid"]) == [hit.pmid for hit in hits] and list(table["rank"]) == [1, 2, 3]
    assert table.loc[0, "title"] == hits[0].article.title.rstrip(".") and table["score"].dtype == float
    assert table["year"].dtype == "Int64" and table["retracted"].dtype == bool
    assert table.loc[0, "evidence"] == hits[0].evidence[0].text
    assert list(search.Hits().to_pandas().columns) == list(table.columns) and len(search.Hits().to_pandas()) == 0
    assert hits._repr_html_() == "".join(hit._repr_html_() for hit in hits)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="needs pandas: pip install pandas"):
        hits.to_pandas()


def test_an_extra_is_installed_by_its_packages_or_from_the_checkout(monkeypatch):
    from search.extras import install_command

    requirements = ["citeproc-py>=0.6", 'mcp>=2; extra == "mcp"', "uvicorn>=1 ; extra == 'mcp'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: requirements)
    assert install_command("mcp") == "pip install 'mcp>=2' 'uvicorn>=1'"
    assert install_command("ray") == "pip install '.[ray]'"


#: What a declared package consists of or needs: FastAPI, httpx, sentence-transformers, psycopg[pool], datasets.
BROUGHT_ALONG = {
    *("anyio", "h11", "httpcore", "psycopg_pool", "pyarrow", "pydantic", "pydantic_core", "starlette", "transformers")
}


def test_every_package_that_is_imported_is_declared():
    import importlib.metadata

    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[\[<>=;]", line)[0].strip().lower().replace("_", "-") for line in required}
    homes = importlib.metadata.packages_distributions()
    imported = set()
    for file in (ROOT / "search").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"search"}
    names = {name: {home.lower().replace("_", "-") for home in homes.get(name, [])} for name in foreign}
    assert {name for name in foreign if not names[name] & declared} <= BROUGHT_ALONG
