"""A server on this machine that speaks OpenAI's API for chats, as well or as badly as a test wants."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def events(*pieces, end="stop"):
    """The lines of a streamed answer, a piece an event; `end` is why it ends, None if it just stops."""
    lines = [{"choices": [{"delta": {"role": "assistant"}, "finish_reason": None}]}]
    lines += [{"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    if end is not None:
        lines += [{"choices": [{"delta": {}, "finish_reason": end}]}, {"choices": [], "usage": {"total_tokens": 9}}]
    return [f"data: {json.dumps(line)}\n\n".encode() for line in lines] + ([b"data: [DONE]\n\n"] if end else [])


class LlmServer:
    """What the server answers next (`answers`, bytes or a function that writes them), and what it was sent."""

    def __init__(self):
        self.answer = events()
        self.status, self.content_type = 200, "text/event-stream"
        self.requests, self.headers = [], []
        self.go_on = threading.Event()

    def says(self, *pieces, end="stop"):
        """Answer with these pieces."""
        self.answer = events(*pieces, end=end)
        self.status, self.content_type = 200, "text/event-stream"


@contextlib.contextmanager
def llm_server():
    """Run a server; gives it with its `url`."""
    state = LlmServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            state.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            state.headers.append(dict(self.headers))
            self.send_response(state.status)
            self.send_header("content-type", state.content_type)
            self.send_header("connection", "close")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in state.answer:
                    if callable(piece):
                        piece()
                        continue
                    self.wfile.write(piece)
                    self.wfile.flush()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        state.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
