"""A server of the sample records, in this process and in one of its own."""

import contextlib
import os
import re
import subprocess
import sys
import threading

import msgspec
import pytest
from starlette.testclient import TestClient

from search.config import Config
from search.web.app import make_app
from search.web.service import Service


@pytest.fixture(scope="module")
def client(built_demo):
    """A client of a server with the default settings; whoever ends that server ends it for one module of tests."""
    with make_client(built_demo) as made:
        yield made


@contextlib.contextmanager
def make_client(folder, *, precision="auto", **settings):
    """A client of a server with settings of its own; `client.service` is what it asks."""
    config = Config(serve=msgspec.convert(settings, type(Config().serve)), precision=precision)
    service = Service(folder, config)
    with TestClient(make_app(service), base_url="http://localhost", raise_server_exceptions=False) as made:
        made.service = service
        yield made


@contextlib.contextmanager
def running_server(folder, *options, cwd=None, path=None):
    """A server in a process of its own; gives its address and the process. `path`: modules that it imports first."""
    command = [sys.executable, "-m", "search", "serve", "--index", str(folder), "--port", "0", *options]
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), *filter(None, [environment.get("PYTHONPATH")])])
    reader = None
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment)
    try:
        line = process.stderr.readline()
        found = re.search(r"http://localhost:\d+", line)
        assert found, line + process.stderr.read()
        # A server whose log nobody reads stops when the pipe is full.
        log = []
        reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
        reader.start()
        process.whole_log = lambda: "".join(log if reader.join(30) is None else [])
        yield found[0], process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        if reader is not None:
            reader.join(30)
        process.stderr.close()


@pytest.fixture(scope="session")
def server(built_demo, tmp_path_factory):
    """The address of a server in a process of its own, for those who only read."""
    folder = tmp_path_factory.mktemp("server")
    # A machine that does much else at the same time may be slow; no test is about that.
    (folder / "config.yml").write_text("serve: {seconds: 120}\n")
    with running_server(built_demo, cwd=folder) as (address, _):
        yield address
