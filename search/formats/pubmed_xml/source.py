"""NLM XML: baseline and update files, efetch answers, single records; of every DTD since 2001."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from search.formats.base import FileSource, Record, file_sequence
from search.formats.byte_stream import ByteStream
from search.formats.pubmed_xml.splitter import split_records
from search.formats.pubmed_xml.xml_records import read_records

__all__ = ["MedlineXmlSource"]


class MedlineXmlSource(FileSource):
    """The records of a file of NLM XML, in the order of the file.

    Iterating holds some MB of the file at a time, whatever its size.
    """

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(stream)
        self.sequence = file_sequence(stream.name)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; see `Source` for what is raised, and when."""
        for part in self.parts():
            yield from part()

    def parts(self) -> Iterator[Callable[[], Iterator[Record]]]:
        """Yield the source in parts of some 2 MB, each a function that reads its records, in any process."""
        for batch in split_records(self._stream.pieces(), self.name):
            yield partial(read_records, batch, self.name)
