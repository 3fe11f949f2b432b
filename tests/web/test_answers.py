"""Answers of a language model as server-sent events, from a server on this machine."""

import contextlib
import json

from llm_server import llm_server
from starlette.testclient import TestClient

from search.config import Config, LlmConfig
from search.web.app import make_app
from search.web.service import Service

ASPIRIN = "does taking aspirin lower the risk of bowel cancer?"


@contextlib.contextmanager
def client_and_model(folder, **more):
    with llm_server() as model:
        config = Config(language_model=LlmConfig(url=model.url, model="small", **more))
        service = Service(folder, config)
        with TestClient(make_app(service), base_url="http://localhost", raise_server_exceptions=False) as made:
            yield made, model


def events_of(text):
    """The server-sent events of a body: name and data."""
    parts = [part.split("\n") for part in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in parts]


def test_an_answer_streams_as_events(built_demo):
    with client_and_model(built_demo) as (client, model):
        assert client.get("/api/about").json()["llm"] == {"model": "small", "sent_to": None}
        body = {"question": ASPIRIN, "limit": 4}
        first = client.post("/api/ask", json=body).json()["groups"][0][0]
        model.says(f"{first['text'].rstrip('.')} [1][9]. Bananas are yellow [1].")
        answer = client.post("/api/ask?stream=true", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        (opening, sources), *sentences, (ending, end) = events_of(answer.text)
        assert (opening, ending) == ("sources", "end")
        assert [source["number"] for source in sources["sources"]] == [1, 2, 3, 4]
        assert (sources["question"], sources["model"]) == (ASPIRIN, "small")
        assert [name for name, _ in sentences] == ["sentence", "sentence"]
        assert sentences[0][1]["text"] == first["text"] and sentences[0][1]["citations"] == [1, 9]
        assert "[9] is not one of the 4 sources" in sentences[0][1]["problems"]
        assert sentences[1][1]["problems"] == ["[1] says nothing near this"]
        assert end == {"status": "complete", "dropped": 0}


def test_a_model_that_fails_and_a_question_without_sources(built_demo):
    with client_and_model(built_demo, strict=True) as (client, model):
        model.answer = [b"data: {oops\n\n"]
        name, data = events_of(client.post("/api/ask?stream=true", json={"question": ASPIRIN}).text)[-1]
        assert name == "error" and data["error"]["code"] == "unavailable" and "{oops" in data["error"]["message"]
        model.says("Bananas are yellow [1].")
        _, end = events_of(client.post("/api/ask?stream=true", json={"question": ASPIRIN}).text)
        assert end == ("end", {"status": "complete", "dropped": 1})
        sent = len(model.requests)
        far = events_of(client.post("/api/ask?stream=true", json={"question": "qwer asdf zxcv"}).text)
        assert far[-1] == ("end", {"status": "nothing near enough", "dropped": 0})
        assert [name for name, _ in far] == ["sources", "end"] and len(model.requests) == sent


def test_without_a_model_there_is_no_stream(client):
    assert client.get("/api/about").json()["llm"] is None
    answer = client.post("/api/ask?stream=true", json={"question": ASPIRIN})
    assert answer.status_code == 400
    assert "no language model is set up" in answer.json()["error"]["message"]
