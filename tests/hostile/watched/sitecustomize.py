"""Writes down what a Python process, and every one that it starts, asks of the network; Python imports it first."""

import os
import sys

_EVENTS = {
    "socket.bind", "socket.connect", "socket.gethostbyaddr", "socket.gethostbyname", "socket.getaddrinfo",
    "socket.getnameinfo", "socket.sendmsg", "socket.sendto", "webbrowser.open",
}  # fmt: skip

_file = os.open(os.environ["NETWORK_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _watch(event, arguments):
    if event not in _EVENTS:
        return
    address = arguments[1] if hasattr(arguments[0], "family") else arguments
    # A socket of this machine's file system has a name, not an address.
    if isinstance(address, tuple):
        os.write(_file, f"{event} {address[:2]!r}\n".encode())


sys.addaudithook(_watch)
