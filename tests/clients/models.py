"""PyPI fhir.resources (R4B): whatever it reads when it is sent, it also reads when the gateway serves it.

R4B lacks some resource types of R4 and changed others; what the models cannot read as it is sent is counted and not held against
the gateway. Examples of every type are taken from the folder that is named, if it exists, and the suites' own resources always.
"""

import importlib
import json
import re
import sys
from pathlib import Path

import requests
from pydantic import ValidationError

BASE, EXAMPLES = sys.argv[1], Path(sys.argv[2])
HERE = Path(__file__).resolve().parent
# Examples of one type that are tried; the first ones are as good as the others.
PER_TYPE = 3
JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}


def examples():
    for file in sorted((HERE.parent.parent / "conformance" / "fixtures").glob("rich-*.json")):
        resource = json.loads(re.sub(r"\$\{[^}]*\}", "x1", file.read_text()))
        yield {**resource, "id": "model-" + resource["resourceType"]}
    for file in sorted(EXAMPLES.glob("*.ndjson")):
        with file.open() as lines:
            for line, _ in zip(lines, range(PER_TYPE)):
                yield json.loads(line)


def faults(resource):
    """What the models have against a resource; `None` where they have no such type."""
    kind = resource["resourceType"]
    try:
        model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    except ImportError:
        return None
    try:
        model.model_validate(resource)
    except ValidationError as told:
        return sorted({f"{error['loc']}: {error['msg']}" for error in told.errors()})
    return []


def served(kind, identity):
    answer = requests.get(f"{BASE}/{kind}/{identity}", headers=JSON, timeout=30)
    assert answer.status_code == 200, (kind, answer.status_code, answer.text[:300])
    return answer.json()


read, unread, new, refused = {}, [], [], 0
for sent in examples():
    kind, identity = sent["resourceType"], sent["id"]
    # A shared example may be in another state; this one is only read back.
    answer = requests.put(f"{BASE}/{kind}/{identity}", data=json.dumps(sent).encode(), headers=JSON, timeout=30)
    if answer.status_code not in (200, 201):
        # Whether that is right is the business of `tests/check.rs`, which lists each of them with its reason.
        assert answer.json()["resourceType"] == "OperationOutcome", (kind, identity, answer.text[:300])
        refused += 1
        continue
    before, after = faults(sent), faults(served(kind, identity))
    if before is None:
        unread.append(f"{kind}/{identity} (no such type in R4B)")
    elif before:
        unread.append(f"{kind}/{identity}")
        if set(after) - set(before):
            new.append(f"{kind}/{identity}: {sorted(set(after) - set(before))}")
    elif after:
        new.append(f"{kind}/{identity}: {after}")
    else:
        read[kind] = read.get(kind, 0) + 1

# What the gateway writes itself.
for place in ["metadata", "Patient?_count=2", "Patient/model-Patient/_history", "Patient/not-there"]:
    body = requests.get(f"{BASE}/{place}", headers=JSON, timeout=30).json()
    if faults(body):
        new.append(f"{place}: {faults(body)}")
    read[body["resourceType"]] = read.get(body["resourceType"], 0) + 1

print(
    f"fhir.resources: {sum(read.values())} resources of {len(read)} types read; "
    f"{len(unread)} it cannot read as they are sent, {refused} are no valid R4 and were not taken"
)
assert len(read) >= (100 if EXAMPLES.is_dir() else 14), sorted(read)
if new:
    sys.exit("the models find what was not wrong before:\n" + "\n".join(new))
