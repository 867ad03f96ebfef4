#!/usr/bin/env python3
"""How much memory Patient/$everything takes for a patient with 50,000 resources, sent whole and in pages.

Start `signa serve --auth off --database sqlite:NEW_FILE`, then: benches/everything.py http://127.0.0.1:8080/fhir PID
"""

import json
import sys
import urllib.request

COUNT, TOGETHER, ROUNDS = 50_000, 500, 8


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


def ask(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
    url = path if path.startswith("http") else base + path
    return urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers))


def observation(at):
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}], "text": "systolic " + "x" * 600}
    value = {"value": 100 + at % 60, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": "Patient/big"},
            "effectiveDateTime": f"2026-{1 + at % 12:02}-{1 + at % 28:02}", "valueQuantity": value}


def whole(base, pid):
    answer, found, tail, most = ask(base, "GET", "/Patient/big/$everything"), 0, b"", 0
    mark = b'"resourceType":"Observation"'
    while piece := answer.read(1 << 16):
        found += (tail + piece).count(mark) - tail.count(mark)
        tail, most = piece[-len(mark):], max(most, rss_mib(pid))
    return found, most


def paged(base, pid):
    found, most, path = 0, 0, "/Patient/big/$everything?_count=500"
    while path:
        page = json.load(ask(base, "GET", path))
        found += len(page.get("entry", []))
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        most = max(most, rss_mib(pid))
    return found, most


def main():
    base, pid = sys.argv[1], int(sys.argv[2])
    print("idle", rss_mib(pid), "MiB")
    ask(base, "PUT", "/Patient/big", {"resourceType": "Patient", "id": "big"}).read()
    for first in range(0, COUNT, TOGETHER):
        entries = [{"resource": observation(at), "request": {"method": "POST", "url": "Observation"}}
                   for at in range(first, first + TOGETHER)]
        ask(base, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).read()
    print("written", rss_mib(pid), "MiB")
    for _ in range(ROUNDS):
        found, most = whole(base, pid)
        assert found == COUNT, found
        print("whole, at most", most, "MiB")
    found, most = paged(base, pid)
    assert found == COUNT + 1, found
    print("in pages, at most", most, "MiB")


main()
