"""Who may ask what: names, tokens, other sites, sizes, times, numbers; and what is written down of it."""

import asyncio
import logging
import re
import threading
import time

import pytest

from search.config import Config, ServeConfig, config_from_dict
from search.errors import ConfigError
from search.web.access_tokens import is_known, new_token, token_hash
from search.web.guard import is_open
from search.web.server import serve

from .conftest import make_client

ASK = {"question": "private worries about aspirin"}


@pytest.fixture
def token():
    return new_token()


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_headers_of_the_page_and_of_answers(client):
    for path in ("/", "/api/status", "/api/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in policy
        assert "server" not in headers
        assert headers["cache-control"] == ("no-store" if "/api" in path else "no-cache")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_name_that_is_not_the_servers_is_refused(client, host):
    assert client.get("/api/status", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_the_names_of_this_machine(client, host):
    assert client.get("/api/status", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_may_not_ask(client):
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert client.get("/api/status", headers=elsewhere).status_code == 403
    assert client.get("/", headers=elsewhere).status_code == 200
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client.options("/api/search", headers=asked).headers


def test_a_site_that_is_allowed_may_ask(built_demo):
    with make_client(built_demo, origins=["https://clinic.example"]) as client:
        known = {"origin": "https://clinic.example", "sec-fetch-site": "cross-site"}
        answer = client.get("/api/status", headers=known)
        assert answer.headers["access-control-allow-origin"] == "https://clinic.example"
        other = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert client.get("/api/status", headers=other).status_code == 403
        asked = {**known, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        assert client.options("/api/search", headers=asked).status_code == 200


@pytest.mark.parametrize("settings", [{"write": False}, {"hosts": ["a.example"]}, {"host": "0.0.0.0"}])
def test_a_server_that_others_can_ask_only_reads_unless_it_is_told_otherwise(built_demo, token, settings):
    with make_client(built_demo, tokens=[token_hash(token)], **settings) as client:
        answer = client.put("/api/saved/mine", json=ASK, headers=bearer(token))
        assert answer.status_code == 403 and "write: true" in answer.json()["error"]["message"]
        assert client.post("/api/saved/mine/new", headers=bearer(token)).status_code == 403
        assert client.get("/api/about", headers=bearer(token)).json()["write"] is False


def test_on_this_machine_alone_its_programs_and_its_own_page_save_without_a_token(demo):
    with make_client(demo) as client:
        assert client.get("/api/about").json()["write"] is True
        assert client.put("/api/saved/mine", json=ASK).status_code == 200
        own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
        assert client.post("/api/saved/mine/new", headers=own).status_code == 200
        for other in (
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "http://localhost:3000"},
            {"origin": "null"},
            {"host": "evil.example"},
        ):
            assert client.post("/api/saved/mine/new", headers=other).status_code in (403, 421), other
            assert client.delete("/api/saved/mine", headers=other).status_code in (403, 421), other
        (saved,) = client.get("/api/saved").json()
        assert len(saved["runs"]) == 2


def test_writing_needs_a_token(demo, token):
    with make_client(demo, write=True, tokens=[token_hash(token)]) as client:
        for headers in ({}, bearer(new_token()), {"authorization": token}, {"authorization": f"Basic {token}"}):
            answer = client.put("/api/saved/mine", json=ASK, headers=headers)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/api/saved").json() == []
        assert client.put("/api/saved/mine", json=ASK, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"hosts": ["search.clinic.example"]}])
def test_others_than_this_machine_need_a_token(built_demo, token, settings):
    with make_client(built_demo, tokens=[token_hash(new_token()), token_hash(token)], **settings) as client:
        for path in ("/api/status", "/metrics", "/openapi.json", "/api/articles/990000067"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=bearer(token)).status_code == 200
        assert client.post("/api/search", json=ASK).status_code == 401
        assert client.get("/").status_code == 200
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"hosts": ("a.example",)}])
def test_the_server_does_not_start_where_a_token_is_needed_and_there_is_none(built_demo, settings):
    with pytest.raises(ConfigError, match="search token"):
        serve(built_demo, Config(serve=ServeConfig(**settings)), print)


def test_only_the_hash_of_a_token_is_known(token):
    assert is_known(token, [token_hash("x"), token_hash(token)])
    assert not is_known(token_hash(token), [token_hash(token)])
    assert not is_known("", []) and len(token) >= 43 and token != new_token()


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        ({"tokens": ["plain-secret"]}, "search token"),
        ({"origins": ["*"]}, "origins"),
        ({"port": 99_999}, "port"),
        ({"seconds": 0}, "seconds"),
        ({"prot": 1}, "prot"),
    ],
)
def test_wrong_settings(serve, told):
    with pytest.raises(ConfigError, match=told):
        config_from_dict({"serve": serve})


def test_loopback_alone_is_open():
    assert is_open(ServeConfig()) and is_open(ServeConfig(host="::1")) and is_open(ServeConfig(host="127.8.8.8"))
    assert not is_open(ServeConfig(host="192.168.1.4")) and not is_open(ServeConfig(host="example.org"))


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_request_that_is_too_large(built_demo):
    with make_client(built_demo, body=1000) as client:
        large = {"question": "x" * 1000}
        assert client.post("/api/search", json=large).status_code == 413

        def parts():
            yield b'{"question": "'
            for _ in range(100):
                yield b"x" * 100

        answer = client.post("/api/search", content=parts(), headers={"content-type": "application/json"})
        assert answer.status_code == 413 and "1,000 bytes" in answer.json()["error"]["message"]


def test_an_answer_that_takes_too_long(built_demo, monkeypatch):
    with make_client(built_demo, seconds=0.2) as client:
        go_on = threading.Event()
        monkeypatch.setattr(client.service, "search", lambda _: go_on.wait(20))
        answer = client.post("/api/search", json=ASK)
        go_on.set()
        assert answer.status_code == 504 and "0.2 s" in answer.json()["error"]["message"]


def test_too_many_at_once_are_turned_away(built_demo, monkeypatch):
    with make_client(built_demo, requests=3) as client:
        go_on, begun = threading.Event(), threading.Semaphore(0)
        monkeypatch.setattr(client.service, "article", lambda _: (begun.release(), go_on.wait(20), b"{}")[2])
        statuses = []
        threads = [
            threading.Thread(target=lambda: statuses.append(client.get("/api/articles/1").status_code))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        begun.acquire()
        while client.portal.call(lambda: client.app.metrics.in_flight) < 3:
            time.sleep(0.01)
        answer = client.get("/api/articles/1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert client.get("/health").status_code == 200
        go_on.set()
        for thread in threads:
            thread.join()
        assert statuses == [200, 200, 200]


# What is written down ------------------------------------------------------------------------------------------------


def test_the_log_holds_no_question(client, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("search.web"), "propagate", True)
    caplog.set_level(logging.INFO, "search.web")
    client.post("/api/search", json=ASK)
    client.get("/api/search", params={"q": ASK["question"]})
    client.get("/api/private%0aworries")
    client.get("/private/worries?q=private")
    text = caplog.text
    assert len(caplog.records) == 4 and "private" not in text
    assert re.search(r"POST /api/search 200 \d+\.\d ms \d+ bytes", text)


def test_the_log_holds_questions_where_it_is_told_to(built_demo, caplog, monkeypatch):
    with make_client(built_demo, log_questions=True) as client:
        monkeypatch.setattr(logging.getLogger("search.web"), "propagate", True)
        caplog.set_level(logging.INFO, "search.web")
        client.post("/api/search", json={"question": "aspirin\nforged line"})
    assert r"'aspirin\nforged line'" in caplog.text


def test_metrics_count_requests_and_batches(built_demo):
    with make_client(built_demo) as client:
        for question in ("one", "two", "two"):
            client.post("/api/search", json={"question": question})
        client.get("/api/articles/5")
        text = client.get("/metrics").text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    values = {name: float(value) for name, value in lines}
    assert values['search_requests_total{method="POST",route="/api/search",status="200"}'] == 3
    assert values['search_requests_total{method="GET",route="/api/articles/{pmid}",status="404"}'] == 1
    assert values['search_request_seconds_count{route="/api/search"}'] == 3
    assert values["search_encoding_batch_requests_total"] == 3
    # The one that made the model ready, and two questions.
    assert values["search_texts_encoded_total"] == 3
    assert values["search_articles"] == 220
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(re.sub(r"_(bucket|sum|count)$|(?<=total)$", "", re.split(r"[ {]", key)[0]) in names for key in values)


def test_a_batcher_that_fails_tells_everyone_who_waits():
    from concurrent.futures import ThreadPoolExecutor

    from search.web.batching import QuestionBatcher

    class Broken:
        def encode(self, texts, kind):
            raise ValueError("broken")

    async def ask():
        with ThreadPoolExecutor(1) as pool:
            batcher = QuestionBatcher(Broken(), pool)
            return await asyncio.gather(*(batcher.prepare([text]) for text in "abc"), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ["broken"] * 3
