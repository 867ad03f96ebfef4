#!/usr/bin/env python3
"""generate.py DEFINITIONS: writes the tables of R4 that the gateway checks and navigates by into r4/ beside this file.

DEFINITIONS is a folder with the official R4 definitions: either one resource per line in StructureDefinition.ndjson(.gz),
ValueSet.ndjson(.gz) and CodeSystem.ndjson(.gz), or an unpacked package hl7.fhir.r4.core (one JSON file per resource).
Needs nothing but Python 3. The output is the same, byte for byte, for the same input. README.md says what is in it.
"""
import gzip, json, pathlib, re, sys

# Native in the gateway: every element has a value or children (the guard), an extension has a value or extensions (the shape).
NATIVE = {"ele-1", "ext-1"}
# A resource may come without a narrative; the standard itself calls this one a best practice.
BEST_PRACTICE = {"dom-6"}
# Expressions of the standard that do not say what its sentence says; each is wrong for resources that the sentence allows.
CORRECTED = {
    "con-3": (
        "category.select($this='problem-list-item').empty()",  # true of no Condition that has a category at all
        "category.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-category' and code='problem-list-item').empty()",
    ),
    "tim-9": (  # the expression fails where there are two of them
        "((when in ('C' | 'CM' | 'CD' | 'CV')).not())",
        "when.where($this in ('C' | 'CM' | 'CD' | 'CV')).empty()",
    ),
    "que-7": ("(answer is Boolean)", "(answer is boolean)"),  # Boolean is FHIRPath's own type, which no element has
}
# Value sets that cannot be listed; their codes are held to a form instead of a list.
FORMS = {"mimetypes": "mime", "currencies": "currency"}
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = STRUCTURE + "structuredefinition-fhir-type"


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


def words(text):
    """One line of a table must stay one line."""
    return re.sub(r"\s+", " ", text).strip()


def write(path, lines):
    """A gzip file without a date in it, so that the same input makes the same bytes."""
    text = "".join(line + "\n" for line in lines).encode("utf8")
    packed = gzip.compress(text, 9, mtime=0)
    path.write_bytes(packed)
    print(f"{path.name}: {len(lines)} lines, {len(text)} bytes, {len(packed)} compressed")


class ValueSets:
    """The codes of the required bindings, each set once."""

    def __init__(self, sets, systems):
        self.sets = {one["url"]: one for one in sets}
        self.systems = {one["url"]: one for one in systems}
        self.index, self.lines, self.skipped = {}, [], []

    def number(self, address, path):
        """The number of a set in the table, or "" where its codes cannot be known from the definitions."""
        address = address.split("|")[0]
        if address not in self.index:
            groups = self.groups(address)
            form = FORMS.get(address.rsplit("/", 1)[-1])
            if groups is None and form is None:
                self.index[address] = ""
                self.skipped.append(f"{address} ({path})")
            else:
                self.index[address] = str(len(self.lines))
                self.lines.append("\t".join([address] + ([f"?{form}"] if groups is None else groups)))
        return self.index[address]

    def groups(self, address):
        """`system code code …` for each system of the set; None if it cannot be listed."""
        known = self.sets.get(address)
        if known is None or known["compose"].get("exclude"):
            return None
        by_system = {}
        for include in known["compose"]["include"]:
            system = self.systems.get(include.get("system"))
            if include.get("filter") or include.get("valueSet"):
                return None
            if "concept" in include:
                codes = [concept["code"] for concept in include["concept"]]
            elif system is not None and system["content"] == "complete":
                codes = list(concepts(system.get("concept", [])))
            else:
                return None
            by_system.setdefault(include["system"], set()).update(codes)
        for codes in by_system.values():
            assert not any(" " in code or "\t" in code for code in codes), address
        return [" ".join([system] + sorted(codes, key=lambda code: code.encode())) for system, codes in sorted(by_system.items())]


def concepts(tree):
    """All codes of a code system, with those below."""
    for concept in tree:
        yield concept["code"]
        yield from concepts(concept.get("concept", []))


class Invariants:
    """The constraints, each once, as `key severity where human expression`."""

    def __init__(self):
        self.index, self.lines = {}, []

    def numbers(self, element, more=()):
        """The numbers of an element's own constraints."""
        numbers = []
        for one in list(element.get("constraint", [])) + list(more):
            if one["key"] in NATIVE or one["key"] in BEST_PRACTICE or "expression" not in one:
                continue
            expression = words(one["expression"]).replace(*CORRECTED.get(one["key"], ("", "")))
            row = "\t".join([one["key"], one["severity"], words(one["human"]), expression])
            if row not in self.index:
                self.index[row] = str(len(self.lines))
                self.lines.append(row)
            if self.index[row] not in numbers:
                numbers.append(self.index[row])
        return ",".join(numbers)


class Elements:
    """The types and their elements."""

    def __init__(self, structures, sets):
        self.structures, self.sets, self.invariants, self.lines = structures, sets, Invariants(), []
        self.profiles = {one["url"]: one for one in structures if one.get("derivation") == "constraint"}

    def add(self, structure):
        name, elements = structure["name"], structure["snapshot"]["element"]
        kind = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}[structure["kind"]]
        kind = "abstract" if structure["abstract"] else kind
        parents = {element["path"].rsplit(".", 1)[0] for element in elements[1:]}
        for owner in elements:
            if owner["path"] not in parents and owner is not elements[0]:
                continue
            flavour = kind if owner is elements[0] else "backbone"
            self.lines.append("\t".join(["T", owner["path"], flavour, self.invariants.numbers(owner)]))
            for element in elements:
                parent, _, short = element["path"].rpartition(".")
                if parent == owner["path"] and element["max"] != "0" and not (kind == "primitive" and short == "value"):
                    self.lines.append(self.element(name, element, short, element["path"] in parents))

    def element(self, owner, element, short, is_backbone):
        path = element["path"]
        types, targets, more = [], [], []
        only_canonical = all(one["code"] != "Reference" for one in element.get("type", []))
        for one in element.get("type", []):
            types.append(path if is_backbone else plain(element.get("base", {}).get("path"), one))
            if one["code"] == "Reference" or (one["code"] == "canonical" and only_canonical):
                targets += [target.rsplit("/", 1)[-1] for target in one.get("targetProfile", [])]
            for profile in one.get("profile", []):
                if profile in self.profiles:
                    more += self.profiles[profile]["snapshot"]["element"][0].get("constraint", [])
        if "contentReference" in element:
            types = [element["contentReference"].lstrip("#")]
        if "Resource" in targets:
            targets = []
        binding, bound = element.get("binding", {}), ""
        if binding.get("strength") == "required":
            bound = self.sets.number(binding["valueSet"], path)
        cardinality = ("1" if element["min"] else "0") + ("*" if element["max"] == "*" else "1")
        own = "" if is_backbone else self.invariants.numbers(element, more)
        unique = list(dict.fromkeys(types))
        return "\t".join([short, cardinality, " ".join(unique), " ".join(dict.fromkeys(targets)), bound, own]).rstrip("\t")


def plain(base, one):
    """The FHIR type of an element whose definition names a type of FHIRPath's own."""
    if base in ("Resource.id", "Extension.url"):
        return {"Resource.id": "id", "Extension.url": "uri"}[base]
    for extension in one.get("extension", []):
        if extension["url"] == FHIR_TYPE:
            return extension.get("valueUrl") or extension.get("valueUri")
    return one["code"].replace("http://hl7.org/fhirpath/System.String", "string")


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent / "r4"
    structures = read(folder, "StructureDefinition")
    sets = ValueSets(read(folder, "ValueSet"), read(folder, "CodeSystem"))
    table = Elements(structures, sets)
    for structure in structures:
        own = structure["url"] == STRUCTURE + structure["name"] and structure.get("derivation") != "constraint"
        if own and structure["kind"] in ("resource", "complex-type", "primitive-type"):
            table.add(structure)
    out.mkdir(exist_ok=True)
    write(out / "elements.tsv.gz", table.lines)
    write(out / "codes.tsv.gz", sets.lines)
    write(out / "invariants.tsv.gz", table.invariants.lines)
    for skipped in sets.skipped:
        print("not listed:", skipped)


if __name__ == "__main__":
    main()
