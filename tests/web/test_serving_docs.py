"""What docs/serving.md shows is what happens: its requests are answered as it says, its settings are settings."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from search.config import config_from_dict
from search.web.access_tokens import token_hash

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def requests():
    """The curl commands of the page, each with the JSON shown below it, if there is any."""
    for place, (kind, text) in enumerate(BLOCKS):
        lines = [line for line in text.splitlines() if line.startswith("curl ")] if kind == "sh" else []
        following = BLOCKS[place + 1] if place + 1 < len(BLOCKS) else ("", "")
        for line in lines:
            yield pytest.param(
                shlex.split(line)[1:], following[1] if len(lines) == 1 and following[0] == "json" else "", id=line[:60]
            )


def assert_same(text, shown):
    """The text begins as it is shown; scores differ in the last digits from one processor to another."""
    scores = re.compile(r"\d+\.\d{3,}")
    expected = scores.sub("#", shown)
    assert scores.sub("#", text)[: len(expected)] == expected
    numbers = [float(number) for number in scores.findall(shown)]
    assert [float(number) for number in scores.findall(text)][: len(numbers)] == pytest.approx(numbers, abs=0.002)


@pytest.mark.parametrize(("arguments", "shown"), list(requests()))
def test_the_requests_are_answered_as_shown(client, arguments, shown):
    url = next(word for word in arguments if word.startswith("localhost:8080/"))
    path = url.removeprefix("localhost:8080")
    if "-d" in arguments:
        header = dict([re.split(": *", arguments[arguments.index("-H") + 1])])
        answer = client.post(path, content=arguments[arguments.index("-d") + 1], headers=header)
    else:
        answer = client.get(path)
    assert answer.status_code == (400 if '"error"' in shown else 200)
    beginning = shown.split("...")[0]
    assert_same(answer.text[: len(beginning) + 20], beginning)


def test_every_route_is_in_the_table(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in paths:
        assert path in PAGE or path.removeprefix("/api") in PAGE, path


def test_the_settings_and_the_token_belong_together():
    (settings,) = (text for kind, text in BLOCKS if kind == "yaml")
    config = config_from_dict(yaml.safe_load(settings))
    token = re.search(r"Bearer ...`: (\S+)", PAGE)[1]
    assert config.serve.tokens == (token_hash(token),)


def test_the_context_is_what_python_gives(built_demo):
    from search import Index

    with Index.open(built_demo) as index:
        found = index.context("does aspirin lower the risk of bowel cancer?", 300, sentences=1)
    assert found.text in PAGE


def test_what_a_language_model_gets(built_demo):
    pytest.importorskip("mcp")
    import asyncio

    from search import Index
    from search.mcp.tools import Tools

    (shown,) = (json.loads(text) for kind, text in BLOCKS if kind == "json" and '"cite"' in text)
    with Index.open(built_demo) as index:
        found = asyncio.run(Tools(index).search("high dose folic acid for depression", 1))
    # The name of a list of results is another each time.
    assert re.fullmatch(r"r[0-9a-f]+", found.pop("results")) and shown.pop("results")
    assert_same(json.dumps(found, sort_keys=True), json.dumps(shown, sort_keys=True))
