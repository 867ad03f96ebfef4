#!/usr/bin/env python3
"""generate_summary.py DEFINITIONS: writes which elements belong to a summary into r4/summary.tsv.gz beside this file.

DEFINITIONS is the folder that generate.py reads. Needs nothing but Python 3; the same input gives the same bytes.
"""
import gzip, json, pathlib, sys


def read(folder):
    """All StructureDefinitions of the folder."""
    for name in ("StructureDefinition.ndjson", "StructureDefinition.ndjson.gz"):
        if (folder / name).exists():
            opened = gzip.open(folder / name, "rt", encoding="utf8") if name.endswith("gz") else open(folder / name, encoding="utf8")
            with opened as lines:
                return [json.loads(line) for line in lines if line.strip()]
    files = [path for sub in (folder, folder / "package") for path in sub.glob("StructureDefinition-*.json")]
    return [json.loads(path.read_text("utf8")) for path in files] or sys.exit(f"{folder} holds no StructureDefinition.")


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
    lines = {}
    for one in read(folder):
        if one.get("kind") != "resource" or one.get("abstract") or one.get("derivation") == "constraint":
            continue
        for element in one["snapshot"]["element"]:
            path, dot, name = element["path"].rpartition(".")
            if dot and element.get("isSummary"):
                lines.setdefault(path, []).append(name.removesuffix("[x]"))
    text = "".join(f"{path}\t{' '.join(names)}\n" for path, names in sorted(lines.items())).encode("utf8")
    packed = gzip.compress(text, 9, mtime=0)
    path = pathlib.Path(__file__).parent / "r4" / "summary.tsv.gz"
    path.write_bytes(packed)
    print(f"{path.name}: {len(lines)} lines, {len(text)} bytes, {len(packed)} compressed")


main()
