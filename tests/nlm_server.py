"""A server on loopback that plays NLM: its folders of files, its E-utilities, and what can go wrong with both."""

import gzip
import hashlib
import threading
import time
from collections import defaultdict
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote


def article_xml(
    pmid, title="", abstract="", *, revised="2020-01-01", year=2019, version=1, language="eng", mesh=(), cites=()
):
    """One PubmedArticle."""
    day = date.fromisoformat(revised)
    headings = "".join(
        f'<MeshHeading><DescriptorName UI="D{len(name):06d}" MajorTopicYN="N">{name}</DescriptorName></MeshHeading>'
        for name in mesh
    )
    references = "".join(
        f'<Reference><Citation>X.</Citation><ArticleIdList><ArticleId IdType="pubmed">{cited}</ArticleId>'
        "</ArticleIdList></Reference>"
        for cited in cites
    )
    references = f"<ReferenceList>{references}</ReferenceList>" if cites else ""
    return f"""<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">
<PMID Version="{version}">{pmid}</PMID>
<DateRevised><Year>{day.year}</Year><Month>{day.month:02d}</Month><Day>{day.day:02d}</Day></DateRevised>
<Article PubModel="Print"><Journal><JournalIssue CitedMedium="Print"><PubDate><Year>{year}</Year></PubDate>
</JournalIssue><Title>Journal</Title></Journal><ArticleTitle>{title or f"Title {pmid}"}</ArticleTitle>
{f"<Abstract><AbstractText>{abstract}</AbstractText></Abstract>" if abstract else ""}
<Language>{language}</Language>
<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList></Article>
<MedlineJournalInfo><MedlineTA>J</MedlineTA></MedlineJournalInfo>
{f"<MeshHeadingList>{headings}</MeshHeadingList>" if mesh else ""}</MedlineCitation>
<PubmedData><PublicationStatus>ppublish</PublicationStatus>{references}</PubmedData></PubmedArticle>
"""


def xml_set(*articles, deleted=()):
    """A PubmedArticleSet of articles' XML and PMIDs to delete."""
    gone = "".join(f'<PMID Version="1">{pmid}</PMID>' for pmid in deleted)
    gone = f"<DeleteCitation>{gone}</DeleteCitation>" if deleted else ""
    body = "".join(articles)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>\n{body}{gone}</PubmedArticleSet>\n'.encode()


def packed(*articles, deleted=()):
    """The same, as NLM has it in its folders."""
    return gzip.compress(xml_set(*articles, deleted=deleted), mtime=0)


class Fault:
    """What goes wrong with one answer: another status, a body cut short, silence, or another body."""

    def __init__(self, *, status=None, headers=(), cut=None, silent=0.0, body=None):
        self.status, self.headers, self.cut, self.silent, self.body = status, dict(headers), cut, silent, body


class NlmServer:
    """`files` maps `baseline/NAME` and `updatefiles/NAME` to content; `records` PMIDs to (XML, Entrez date)."""

    def __init__(self):
        self.files = {}
        self.md5s = {}
        self.records = {}
        self.faults = defaultdict(list)
        self.requests = []
        self.ranges = True
        self.history_forgotten = False
        self.chunk_pause = 0.0
        self.before_answer = lambda path: None
        self.most = 9999
        self.listed_date = "2026-01-10 12:38"
        self._histories = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.nlm = self
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, year, number, content, folder="baseline"):
        self.files[f"{folder}/pubmed{year}n{number:04d}.xml.gz"] = content

    def asked(self, ending):
        """How often an address was asked for."""
        return sum(path.endswith(ending) for path, _, _ in self.requests)

    def answer(self, path, form):
        """Return the status and body that an address has when nothing goes wrong."""
        if path.endswith("/"):
            return 200, self._listing(path.strip("/"))
        if path.endswith(".md5") and path[:-4] in self.files:
            name = path[:-4]
            digest = self.md5s.get(name, hashlib.md5(self.files[name]).hexdigest())
            return 200, f"MD5({name.split('/')[-1]})= {digest}\n".encode()
        if path in self.files:
            return 200, self.files[path]
        if path == "esearch.fcgi":
            return 200, self._search(form)
        if path == "efetch.fcgi":
            return 200, self._fetch(form)
        return 404, b"<html><body>Not Found</body></html>"

    def _listing(self, folder):
        names = sorted(path.split("/", 1)[1] for path in self.files if path.startswith(f"{folder}/"))
        rows = [
            f'<a href="{name}">{name}</a>   {self.listed_date}  {len(self.files[f"{folder}/{name}"])}' for name in names
        ]
        rows += [f'<a href="{name}.md5">{name}.md5</a>   2026-01-10 12:38   60' for name in names]
        title = f"Index of /pubmed/{folder}"
        head = f'<html><head><title>{title}</title></head><body><pre><a href="/pubmed/">Parent Directory</a>\n'
        return (head + '<a href="README.txt">README.txt</a>\n' + "\n".join(rows) + "\n</pre></body></html>").encode()

    def _search(self, form):
        first, last = form.get("mindate", "0000/00/00"), form.get("maxdate", "9999/99/99")
        found = sorted(pmid for pmid, (_, day) in self.records.items() if first <= day <= last)
        found.reverse()
        key = str(len(self._histories) + 1)
        self._histories[key] = found
        given = found[: min(int(form.get("retmax", 20)), self.most)]
        ids = "".join(f"<Id>{pmid}</Id>" for pmid in given)
        return (
            f"<eSearchResult><Count>{len(found)}</Count><RetMax>{len(given)}</RetMax><RetStart>0</RetStart>"
            f"<QueryKey>{key}</QueryKey><WebEnv>MCID_1</WebEnv><IdList>{ids}</IdList></eSearchResult>"
        ).encode()

    def _fetch(self, form):
        if "id" in form:
            pmids = [int(pmid) for pmid in form["id"].split(",")]
        elif self.history_forgotten:
            return b"<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
        else:
            start, most = int(form["retstart"]), int(form["retmax"])
            pmids = self._histories[form["query_key"]][start : start + most]
        return xml_set(*[self.records[pmid][0] for pmid in pmids if pmid in self.records])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self._answer({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer({key: values[0] for key, values in parse_qs(body).items()})

    def _answer(self, form):
        nlm = self.server.nlm
        path = unquote(self.path.split("?")[0]).lstrip("/")
        nlm.requests.append((path, self.headers.get("Range"), form))
        nlm.before_answer(path)
        fault = nlm.faults[path].pop(0) if nlm.faults[path] else Fault()
        time.sleep(fault.silent)
        status, body = nlm.answer(path, form)
        headers = {"Content-Type": "text/html", **fault.headers}
        if fault.status:
            status, body = fault.status, b"<html><body>failed</body></html>"
        if fault.body is not None:
            body = fault.body
        if status == 200 and nlm.ranges and "Range" in self.headers:
            status, body = self._range(body, headers)
        headers["Content-Length"] = str(len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(body[: fault.cut], nlm.chunk_pause)
        self.close_connection = self.close_connection or fault.cut is not None

    def _range(self, body, headers):
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            return 416, b""
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return 206, body[start:]

    def _write(self, body, pause):
        size = 512 if pause else max(len(body), 1)
        try:
            for start in range(0, len(body), size):
                self.wfile.write(body[start : start + size])
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            self.close_connection = True
