#!/usr/bin/env python3
"""generate_search.py DEFINITIONS: writes the search parameters and compartments of R4 into r4/search.tsv.gz beside this file.

DEFINITIONS is a folder with the official R4 definitions: either one resource per line in SearchParameter.ndjson(.gz) and
CompartmentDefinition.ndjson(.gz), or an unpacked package hl7.fhir.r4.core (one JSON file per resource).
Needs nothing but Python 3. The output is the same, byte for byte, for the same input. SEARCH.md says what is in it.
"""
import gzip, json, pathlib, re, sys

# The definitions hold examples of search parameters and of a compartment; they are no part of the standard.
EXAMPLES = re.compile(r"/(example|example-extension|example-reference)$")
# R4 as published leaves Task out of the patient's compartment; later releases put it in by these parameters, and a patient's
# tasks belong to that patient's record.
ADDED_MEMBERS = {("Patient", "Task"): ["patient", "focus"]}
# Parts of an expression that belong to every type.
EVERYWHERE = {"Resource", "DomainResource"}


def read(folder, kind):
    """All resources of one kind in the folder, in the order of their address."""
    found = []
    for name in (f"{kind}.ndjson", f"{kind}.ndjson.gz"):
        if (folder / name).exists():
            opened = gzip.open(folder / name, "rt", encoding="utf8") if name.endswith("gz") else open(folder / name, encoding="utf8")
            with opened as lines:
                found += [json.loads(line) for line in lines if line.strip()]
    if not found:
        for sub in (folder, folder / "package"):
            found += [json.loads(path.read_text("utf8")) for path in sub.glob(f"{kind}-*.json")]
    if not found:
        sys.exit(f"{folder} holds no {kind}: name the folder of the R4 definitions.")
    return sorted(found, key=lambda resource: resource["url"])


def parts(expression):
    """The alternatives of a union, split where no bracket or text is open."""
    found, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(expression):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "([":
            depth += 1
        elif not quoted and letter in ")]":
            depth -= 1
        elif not quoted and letter == "|" and depth == 0:
            found.append(expression[start:at])
            start = at + 1
    return [part.strip() for part in found + [expression[start:]]]


def restricted(expression, base):
    """The part of an expression that speaks of one type; a part that begins with an element speaks of each."""
    def speaks_of(part):
        first = re.match(r"\(*\s*(\w+)", part).group(1)
        return first in {base} | EVERYWHERE or first[0].islower()
    mine = [part for part in parts(expression) if speaks_of(part)]
    return " | ".join(mine)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
    parameters = {one["url"]: one for one in read(folder, "SearchParameter")}
    lines = []
    for url, one in parameters.items():
        if EXAMPLES.search(url) or "base" not in one:
            continue
        for base in one["base"]:
            expression = restricted(one.get("expression", ""), base) if one.get("expression") else ""
            inner = [(parameters[part["definition"]]["code"], part["expression"]) for part in one.get("component", [])]
            components = ";".join(f"{code}={' '.join(text.split())}" for code, text in inner)
            targets = " ".join(sorted(one.get("target", [])))
            lines.append(["P", base, one["code"], one["type"], targets, url, " ".join(expression.split()), components])
    for one in read(folder, "CompartmentDefinition"):
        if EXAMPLES.search(one["url"]):
            continue
        for member in one["resource"]:
            codes = member.get("param") or ADDED_MEMBERS.get((one["code"], member["code"]))
            if codes:
                lines.append(["C", one["code"], member["code"], " ".join(codes)])
    text = "".join("\t".join(line) + "\n" for line in sorted(lines)).encode("utf8")
    packed = gzip.compress(text, 9, mtime=0)
    path = pathlib.Path(__file__).parent / "r4" / "search.tsv.gz"
    path.write_bytes(packed)
    print(f"{path.name}: {len(lines)} lines, {len(text)} bytes, {len(packed)} compressed")


main()
