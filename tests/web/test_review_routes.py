"""Citations, references, reports and feeds over REST."""

import base64

from web.conftest import make_client

from search.api import Index
from search.formats.byte_stream import ByteStream
from search.web.access_tokens import new_token, token_hash


def test_citations_of_an_article(demo):
    with Index.open(demo) as index:
        cited, citing = index.get(990000010), index.get(990000011)
        import msgspec

        again = msgspec.structs.replace(citing, references=(cited.pmid, 5), version=2)
        index.add(again)
    with make_client(demo) as client:
        found = client.get(f"/api/articles/{cited.pmid}/cited-by").json()
        assert (found["count"], [item["pmid"] for item in found["articles"]]) == (1, [citing.pmid])
        found = client.get(f"/api/articles/{citing.pmid}/references").json()
        assert (found["count"], found["others"]) == (2, [5])
        assert client.get("/api/articles/5/cited-by").status_code == 404
        assert client.get(f"/api/articles/{cited.pmid}/cited-by?limit=5000").status_code == 400
        found = client.post("/api/snowball", json={"pmids": [cited.pmid]}).json()
        assert [(item["pmid"], item["links"]) for item in found["articles"]] == [(citing.pmid, 1)]
        assert client.post("/api/snowball", json={}).status_code == 400


def test_references_are_checked_and_deduplicated(demo):
    with make_client(demo) as client:
        report = client.post("/api/check", json={"references": "990000067\n990000010\n"}).json()
        assert report["counts"] == {"retracted": 1} and report["file"] == "references"
        assert [entry["where"] for entry in report["checked"]] == ["references line 1", "references line 2"]
        one = "TY  - JOUR\nTI  - A title of some length here\nAU  - Lee, A\nPY  - 2010\nER  - \n"
        found = client.post("/api/dedupe", json={"sources": {"Embase": one, "Scopus": one}}).json()
        assert found["identified"] == {"Embase": 1, "Scopus": 1}
        (entry,) = found["duplicates"]
        assert (entry["where"], entry["kept"]) == ("Scopus line 1", "Embase line 1")
        kept = client.post("/api/dedupe", json={"sources": {"Embase": one, "Scopus": one}, "format": "ris"})
        assert kept.text.count("TI  - A title of some length here") == 1
        assert kept.headers["content-disposition"] == 'attachment; filename="deduplicated.ris"'
        assert client.post("/api/dedupe", json={"sources": {"a": ""}}).status_code == 400
        assert client.post("/api/check", json={"references": "Dear colleague"}).status_code == 400
        cut = client.post("/api/check", json={"references": '[{"DOI": "10.1/a"', "name": 'a "b" \\c.json'})
        assert (cut.status_code, cut.json()["error"]["message"].partition(":")[0]) == (400, 'a "b" \\c.json')


def test_files_of_references_may_be_larger_than_questions(demo):
    many = "".join(f"{pmid}\n" for pmid in range(1, 3000))
    with make_client(demo, body=2000, files=20_000) as client:
        assert client.post("/api/check", json={"references": many}).json()["references"] == 2999
        assert client.post("/api/check", json={"references": many * 2}).status_code == 413
        assert client.post("/api/search", json={"question": many}).status_code == 413


def test_a_report_counts_the_references_of_other_databases(demo):
    with Index.open(demo) as index:
        hits = index.save_search("aspirin", "aspirin and bowel cancer", 3)
    ris = f"TY  - JOUR\nTI  - {hits[0].article.title}\nAN  - {hits[0].pmid}\nDB  - PubMed\nER  - \n"
    other = "TY  - JOUR\nTI  - On a thing that no database has\nAU  - Lee, A\nPY  - 2010\nER  - \n"
    with make_client(demo) as client:
        told = client.post("/api/saved/aspirin/report", json={"sources": {"Embase": ris + other}}).text
        assert client.post("/api/saved/none/report", json={"sources": {"Embase": ris}}).status_code == 404
        assert client.post("/api/saved/aspirin/report", json={"sources": {"Embase": "?"}}).status_code == 400
    assert "Embase" in told and told == _report(demo, ris + other)


def _report(folder, text):
    with Index.open(folder) as index:
        return index.saved_report("aspirin", [ByteStream("Embase", text.encode())])


def test_the_feed_of_a_saved_search_needs_the_token_that_the_server_needs(demo):
    token = new_token()
    with Index.open(demo) as index:
        index.save_search("aspirin", "aspirin and bowel cancer", 3)
        index.save_search("aspirin", "aspirin and bowel cancer", 3)
    with make_client(demo) as client:
        answer = client.get("/feeds/aspirin.atom")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/atom+xml")
        assert answer.text.count("<entry>") == 3 and "/feeds/aspirin.atom" in answer.text
        assert client.get("/feeds/aspirin.atom").content == answer.content
        assert client.get("/feeds/none.atom").status_code == 404
        assert client.get("/api/saved/aspirin/report").text.startswith("# Report of the search aspirin")
        difference = client.get("/api/saved/aspirin/difference?first=1&second=2").json()
        assert (difference["only_first"], difference["changed"]) == ([], {})
    with make_client(demo, tokens=[token_hash(token)], hosts=["localhost"], host="0.0.0.0") as client:
        refused = client.get("/feeds/aspirin.atom")
        assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic")
        assert client.get("/feeds/aspirin.atom", headers={"authorization": f"Bearer {token}"}).status_code == 200
        for password, status in ((token, 200), ("wrong", 401)):
            given = base64.b64encode(f"me:{password}".encode()).decode()
            assert client.get("/feeds/aspirin.atom", headers={"authorization": f"Basic {given}"}).status_code == status
            # A password is for feeds only: a page of another site could use one that a browser remembers.
            assert client.get("/api/saved", headers={"authorization": f"Basic {given}"}).status_code == 401
