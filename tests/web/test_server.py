"""The server as a process: it starts or says why not, sees what others add, and ends without cutting anyone off."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from .conftest import running_server

QUESTIONS = [f"does treatment {number} help?" for number in range(5)]


def in_flight(address):
    return int(re.search(r"^search_requests_in_flight (\d+)", httpx.get(f"{address}/metrics").text, re.MULTILINE)[1])


def test_requests_that_have_begun_are_finished(built_demo, tmp_path):
    with running_server(built_demo, cwd=tmp_path) as (address, process):
        answers = []

        def ask():
            body = {"questions": QUESTIONS, "evidence": 1}
            answers.append(httpx.post(f"{address}/api/batch", json=body, timeout=120))

        asking = threading.Thread(target=ask)
        asking.start()
        # The request itself, and the one that asks.
        while in_flight(address) < 2 and not answers:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        asking.join()
        assert [len(answer.json()) for answer in answers] == [len(QUESTIONS)]
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert "Traceback" not in process.whole_log()


def test_what_others_add_is_found(demo, tmp_path):
    with running_server(demo, cwd=tmp_path) as (address, _):
        ask = {"question": "zebra stripes", "limit": 1}
        before = httpx.post(f"{address}/api/search", json=ask, timeout=60).json()
        (tmp_path / "new.jsonl").write_text('{"pmid": 5, "title": "Zebra stripes"}\n')
        command = [sys.executable, "-m", "search", "add", "new.jsonl", "--index", str(demo)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        after = httpx.post(f"{address}/api/search", json=ask, timeout=60).json()
    assert before[0]["pmid"] != 5 == after[0]["pmid"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "search token"),
        (["--index", "nowhere"], "nowhere does not exist"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
    ],
)
def test_a_server_that_cannot_start_says_why(built_demo, tmp_path, options, told):
    command = [sys.executable, "-m", "search", "serve", "--index", str(built_demo), "--port", "0", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and told in done.stderr


def test_a_port_that_is_taken(built_demo, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "search", "serve", "--index", str(built_demo), "--port", port]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "--port" in done.stderr
