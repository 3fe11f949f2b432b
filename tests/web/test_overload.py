"""Whoever is slow, silent or asks for too much is given up, and nobody else notices."""

import asyncio
import contextlib
import signal
import socket
import threading

import httpx
import pytest
import uvicorn

from search.errors import TimeLimitError
from search.time_limit import check_time, has_run_out, seconds_left, time_limit
from search.web import application, connections
from search.web.connections import LimitedProtocol

from .conftest import make_client, running_server

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def address(monkeypatch):
    """A server that answers every request with its path, takes ten connections and waits .3 s for headers."""
    monkeypatch.setattr(connections, "most_connections", lambda: 10)
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(uvicorn.Config(app, http=LimitedProtocol, lifespan="off", log_level="error", ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


def connect(address):
    return socket.create_connection(address, timeout=20)


def read(connection, end):
    """What comes, up to an end."""
    answer = b""
    while not answer.endswith(end):
        piece = connection.recv(1000)
        assert piece
        answer += piece
    return answer


def ask(connection):
    """Send a request and read its answer."""
    connection.sendall(REQUEST)
    read(connection, b"ok")


def is_closed(connection):
    """Whether the other side closes the connection before long, with nothing more to say."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc", REQUEST + b"GET / HTTP/1.1\r\n"])
def test_a_request_whose_headers_do_not_come_is_given_up(address, sent):
    with connect(address) as silent:
        if sent.startswith(REQUEST):
            ask(silent)
        silent.sendall(sent.removeprefix(REQUEST))
        assert is_closed(silent)


def test_silent_connections_make_room_for_others(address, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 600)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(address)) for _ in range(30)]
        asking = stack.enter_context(connect(address))
        ask(asking)
        # The oldest went first; the youngest are there still.
        assert all(is_closed(connection) for connection in silent[:20])
        ask(silent[-1])


def test_a_body_that_does_not_come_is_given_up(built_demo, tmp_path):
    (tmp_path / "config.yml").write_text("serve: {seconds: 1}\n")
    with running_server(built_demo, cwd=tmp_path) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with connect((host, int(port))) as slow:
            slow.sendall(b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            slow.sendall(b"Content-Length: 100\r\n\r\n{")
            answer = read(slow, b"}}\n")
    assert answer.startswith(b"HTTP/1.1 408 ") and b'"request_too_slow"' in answer


def test_a_time_limit_is_of_a_thread_and_the_sooner_counts():
    assert seconds_left() is None
    with time_limit(60):
        assert 50 < seconds_left() <= 60
        with time_limit(0.0):
            assert has_run_out()
            with pytest.raises(TimeLimitError), time_limit(60):
                check_time()
        assert not has_run_out()
        check_time()
    assert seconds_left() is None


def test_health_answers_and_time_limits_hold_whatever_goes_on(built_demo, monkeypatch):
    monkeypatch.setattr(application, "_HEALTH_SECONDS", 0.2)
    released = threading.Event()
    with make_client(built_demo, seconds=1) as client:
        with client.service.index._reader.view():
            # Whoever reads now waits, if the reader has one connection only; nobody waits for long.
            monkeypatch.setattr(client.service, "look", lambda: released.wait(20))
            assert client.get("/health").json() == {"status": "busy"}
        monkeypatch.setattr(client.service, "search", lambda body: released.wait(20) and b"")
        for _ in range(3):
            answer = client.post("/api/search", json={"question": "aspirin"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timed_out")
        released.set()


def test_the_server_ends_whatever_goes_on(built_demo, tmp_path):
    (tmp_path / "config.yml").write_text("serve: {seconds: 1}\n")
    # Reading the index takes for ever, and no time limit reaches it.
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\n"
        "from search.web.service import Service\n"
        "Service.search = lambda self, body: threading.Event().wait()\n"
    )
    with running_server(built_demo, cwd=tmp_path, path=tmp_path) as (url, process):
        answer = httpx.post(f"{url}/api/search", json={"question": "aspirin"}, timeout=60)
        assert answer.status_code == 504
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (1, -signal.SIGTERM)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_a_page_of_an_allowed_origin_reads_what_it_is_refused(built_demo, headers):
    origin = "https://reviews.example.org"
    token = "sha256:" + "0" * 64
    with make_client(built_demo, origins=[origin], hosts=["localhost"], tokens=[token]) as client:
        answer = client.get("/api/status", headers={"origin": origin, **headers})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == origin
        other = client.get("/api/status", headers={"origin": "https://elsewhere.example.org", **headers})
        assert "access-control-allow-origin" not in other.headers


def test_a_request_that_lists_thousands_of_values_holds_up_no_quick_one(built_demo, monkeypatch):
    with make_client(built_demo) as client:
        monkeypatch.setattr(client.service, "search", lambda body: threading.current_thread().name.encode())
        for headings, lane in ((10, "quick"), (5_000, "slow")):
            filters = {"mesh": [f"Heading {number}" for number in range(headings)]}
            answer = client.post("/api/search", json={"question": "aspirin", "filters": filters})
            assert answer.text.startswith(lane)
