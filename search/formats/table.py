"""Tables with a row a record: CSV (PubMed's own export, pandas', ours) and Parquet, where pyarrow is installed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from search.errors import SourceError
from search.formats.base import FileSource, Record, Rejection
from search.formats.loose import read_loose

__all__ = ["PARQUET", "TableSource", "is_csv"]

#: What a Parquet file begins with.
PARQUET = b"PAR1"

#: No cell of a record comes near this, in characters.
_LONGEST_CELL = 1 << 24
_HEADER = re.compile(rb"(?:[^\n]*[,;\t])?\"?(?:pmid|pubmed_id)\"?\s*[,;\t\r\n]", re.IGNORECASE)


def is_csv(head: bytes) -> bool:
    """Whether bytes begin a table whose first line names a column of PMIDs."""
    return bool(_HEADER.match(head.lstrip()))


class TableSource(FileSource):
    """The rows of a table, in the order of the file."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        rows = self._parquet() if self._stream.head().startswith(PARQUET) else self.csv_rows()
        for where, row in rows:
            if row is None:
                yield Rejection(where, "the row has more cells than the table has columns")
            else:
                yield from read_loose(row, where)

    def csv_rows(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yield the rows of a CSV as their cells by the names of the columns, each with where it stands.

        None for a row with more cells than the table has columns. Raises SourceError where it cannot be read further.
        """
        first = self._stream.head().lstrip().partition(b"\n")[0]
        delimiter = max(",;\t", key=lambda character: first.count(character.encode()))
        csv.field_size_limit(_LONGEST_CELL)
        reader = csv.DictReader(self._text(), delimiter=delimiter)
        try:
            for row in reader:
                # An index without a name is pandas'; an apostrophe keeps spreadsheets from running a formula.
                cells = {key: _plain(value) for key, value in row.items() if key}
                yield f"{self.name} line {reader.line_num}", cells if None not in row else None
        except csv.Error as error:
            raise SourceError(f"{self.name} line {reader.line_num}: not a table: {error}") from error

    def _text(self) -> Iterator[str]:
        """Yield the lines with their ends, which a cell in quotes may hold."""
        held = b""
        for piece in self._stream.pieces():
            *whole, held = (held + piece).splitlines(keepends=True) or [b""]
            if held.endswith(b"\n"):
                whole, held = [*whole, held], b""
            yield from (line.decode("utf-8", "replace") for line in whole)
        if held:
            yield held.decode("utf-8", "replace")

    def _parquet(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        try:
            from pyarrow import ArrowInvalid, parquet
        except ImportError as error:
            raise SourceError(
                f"{self.name}: a Parquet file needs the Python package pyarrow: pip install pyarrow"
            ) from error
        try:
            file = parquet.ParquetFile(io.BytesIO(b"".join(self._stream.pieces())))
            number = 0
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{self.name} row {number}", {key: _plain(value) for key, value in row.items()}
        except (ArrowInvalid, OSError) as error:
            raise SourceError(f"{self.name}: not a Parquet file, or damaged: {error}") from error


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.removeprefix("'") if value[:1] == "'" and value[1:2] in tuple("=+-@") else value
    return None if text in ("NaN", "nan", "None", "<NA>") else text
