"""Bytes of files and pipes: unpacked, in UTF-8, in little memory, and with what came before a break."""

import gzip
import io
import os
import sys
import threading
import zlib

import pytest

from search.errors import SourceError
from search.formats import byte_stream
from search.formats.byte_stream import ByteStream, lines

TEXT = b"".join(b"%d some text\n" % number for number in range(200_000))


def stream(tmp_path, data, name="file.gz"):
    path = tmp_path / name
    path.write_bytes(data)
    return ByteStream(path)


def until_problem(pieces):
    found = []
    with pytest.raises(SourceError) as problem:
        for piece in pieces:
            found.append(piece)
    return b"".join(found), str(problem.value)


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:1000]) + gzip.compress(b"") + gzip.compress(TEXT[1000:]),
        gzip.compress(TEXT) + bytes(100_000),
        TEXT,
    ],
)
def test_all_members_are_unpacked(tmp_path, packed):
    read = stream(tmp_path, packed)
    assert read.head() == b"".join(read.pieces())[: len(read.head())]
    assert b"".join(read.pieces()) == TEXT
    assert max(map(len, read.pieces())) <= 1 << 20


@pytest.mark.parametrize("garbage", [b"garbage", b"\n", b"\x1f", b"\0\0garbage"])
def test_garbage_after_gzip_is_told_after_all_was_read(tmp_path, garbage):
    found, problem = until_problem(stream(tmp_path, gzip.compress(TEXT) + garbage).pieces())
    assert found == TEXT
    assert problem.startswith(
        f"{tmp_path / 'file.gz'}: damaged gzip data after {len(TEXT):,} unpacked bytes: Not a gzipped"
    )


def test_damaged_gzip(tmp_path):
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    found, problem = until_problem(stream(tmp_path, packed).pieces())
    assert found == TEXT[: len(found)] and len(found) > len(TEXT) - (1 << 20)
    assert "damaged gzip data" in problem and "CRC check failed" in problem
    assert "damaged gzip data" in until_problem(stream(tmp_path, b"\x1f\x8bnot gzip at all").pieces())[1]


def test_a_gzip_bomb_is_refused_before_it_fills_anything(tmp_path, monkeypatch):
    monkeypatch.setattr(byte_stream, "_RATIO_FROM", 1 << 22)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    found, problem = until_problem(stream(tmp_path, bomb).pieces())
    assert "unpacks to over 200 times its size" in problem
    assert len(found) < 20 << 20


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "iso-8859-15"])
def test_other_encodings_become_utf8(tmp_path, encoding):
    name = encoding if encoding.startswith("iso") else "utf-8"
    text = f'<?xml version="1.0" encoding="{name}"?><a>{"Grüße € " * 50_000}</a>'
    assert b"".join(stream(tmp_path, text.encode(encoding)).pieces()).decode() == text


def test_encodings_that_cannot_be_read(tmp_path):
    for declared in ("klingon", "base64", "zlib"):
        xml = f'<?xml version="1.0" encoding="{declared}"?><a/>'.encode()
        assert f"its encoding '{declared}' is not known" in until_problem(stream(tmp_path, xml).pieces())[1]
    assert "is not valid utf-16" in until_problem(stream(tmp_path, b"\xff\xfe<\x00\x00\xd8a").pieces())[1]
    wrong = b'<?xml version="1.0" encoding="utf-16"?><a>\xc3\xbc</a>'
    assert b"".join(stream(tmp_path, wrong).pieces()) == wrong


def test_standard_input_is_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))
    read = ByteStream("-")
    assert TEXT.startswith(read.head()) and TEXT.startswith(read.head())
    assert b"".join(read.pieces()) == TEXT
    assert until_problem(read.pieces()) == (b"", "-: a pipe or standard input can be read only once")


def test_a_pipe_that_breaks_off_gives_what_came(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(TEXT)
    writer = threading.Thread(target=lambda: path.write_bytes(packed[: len(packed) // 2]))
    writer.start()
    read = ByteStream(path)
    assert TEXT.startswith(read.head())
    found, problem = until_problem(read.pieces())
    writer.join()
    assert TEXT.startswith(found) and len(found) > 100_000
    assert "cut off" in problem


def test_lines(tmp_path):
    assert list(lines([b"a\r", b"\n\n\nb"], 9)) == [(1, b"a"), (2, b""), (3, b""), (4, b"b")]
    assert list(lines([b"a\rb\r\nc", b"d\n"], 9)) == [(1, b"a"), (2, b"b"), (3, b"cd")]
    assert [line for _, line in lines(stream(tmp_path, TEXT).pieces(), 99)] == TEXT.splitlines()
    long = [b"x" * 600] * 5
    assert list(lines([b"a\n", *long, b"\nb\n" + b"x" * 1001 + b"\nc", *long], 1000)) == [
        (1, b"a"),
        (2, None),
        (3, b"b"),
        (4, None),
        (5, None),
    ]


def test_what_is_not_there_or_cannot_be_read(tmp_path):
    with pytest.raises(SourceError, match="there is no such file"):
        ByteStream(tmp_path / "nothing")
    with pytest.raises(SourceError, match="is a folder"):
        ByteStream(tmp_path)
    assert "packed with bzip2; unpack it" in until_problem(stream(tmp_path, b"BZh91AY").pieces())[1]
