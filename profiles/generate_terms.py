#!/usr/bin/env python3
"""generate_terms.py DEFINITIONS: writes R4's own terminology and profiles into r4/ beside this file, reduced to what is asked of them.

DEFINITIONS is the same folder as for generate.py. Needs nothing but Python 3; the same input makes the same bytes.
"""
import json, pathlib, sys

from generate import read, words, write

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
# Held for every element by the gateway itself, or a best practice.
NATIVE = {"ele-1", "ext-1", "dom-6"}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def line(resource, reduced):
    return "\t".join([resource["resourceType"], resource["url"], resource["id"], words(compact(reduced))])


def kept(resource, keys):
    return {key: resource[key] for key in keys if key in resource}


def concept(one):
    """A code with its display, what it is below, and the properties that change what may be done with it."""
    made = kept(one, ("code", "display"))
    properties = [p for p in one.get("property", []) if p["code"] in ("notSelectable", "abstract", "parent", "child", "subsumedBy", "status")]
    if properties:
        made["property"] = properties
    if one.get("concept"):
        made["concept"] = [concept(inner) for inner in one["concept"]]
    return made


def system(one):
    made = kept(one, ("url", "version", "name", "valueSet", "content"))
    made["concept"] = [concept(inner) for inner in one.get("concept", [])]
    return made


def part(one):
    made = kept(one, ("system", "valueSet"))
    if "concept" in one:
        made["concept"] = [kept(inner, ("code", "display")) for inner in one["concept"]]
    if "filter" in one:
        made["filter"] = [kept(inner, ("property", "op", "value")) for inner in one["filter"]]
    return made


def value_set(one):
    made = kept(one, ("url", "version", "name", "status"))
    compose = one.get("compose", {})
    made["compose"] = {key: [part(inner) for inner in compose[key]] for key in ("include", "exclude") if key in compose}
    return made


def concept_map(one):
    made = kept(one, ("url", "sourceUri", "sourceCanonical", "targetUri", "targetCanonical"))
    made["group"] = []
    for group in one.get("group", []):
        own = kept(group, ("source", "target", "unmapped"))
        own["element"] = [
            {**kept(element, ("code", "display")), "target": [kept(target, ("code", "display", "equivalence")) for target in element.get("target", [])]}
            for element in group.get("element", [])
        ]
        made["group"].append(own)
    return made


def element(one, base_keys):
    """What an element of a snapshot says that can be held against a resource."""
    made = kept(one, ("min", "max", "maxLength"))
    made.update({key: value for key, value in one.items() if key.startswith(("fixed", "pattern", "minValue", "maxValue"))})
    if "type" in one:
        made["type"] = [kept(kind, ("code", "profile", "targetProfile")) for kind in one["type"]]
    binding = one.get("binding", {})
    if binding.get("strength") in ("required", "extensible") and "valueSet" in binding:
        made["binding"] = kept(binding, ("strength", "valueSet"))
    if "slicing" in one:
        made["slicing"] = kept(one["slicing"], ("discriminator", "ordered", "rules"))
    own = [kept(c, ("key", "severity", "human", "expression")) for c in one.get("constraint", []) if c["key"] not in NATIVE | base_keys and "expression" in c]
    if own:
        made["constraint"] = [{**c, "source": "profile"} for c in own]
    return made


class Structures:
    """The profiles and extensions, without what their base type says already."""

    def __init__(self, structures):
        self.structures = structures
        own = [one for one in structures if one.get("derivation") != "constraint" and "snapshot" in one]
        self.base_keys = {c["key"] for one in own for e in one["snapshot"]["element"] for c in e.get("constraint", [])}
        self.base = {e["path"]: element(e, self.base_keys) for one in own for e in one["snapshot"]["element"]}

    def lines(self):
        for one in self.structures:
            if one.get("derivation") == "constraint" and "snapshot" in one and one["kind"] in ("resource", "complex-type"):
                made = kept(one, ("url", "version", "type", "derivation"))
                if "context" in one:
                    made["context"] = [kept(context, ("type", "expression")) for context in one["context"]]
                made["snapshot"] = {"element": list(self.elements(one))}
                yield line(one, made)

    def elements(self, one):
        for own in one["snapshot"]["element"]:
            made = element(own, self.base_keys)
            if made == self.base.get(own.get("base", {}).get("path")) and ":" not in own["id"].rsplit(".", 1)[-1] and "." in own["id"]:
                continue
            yield {"id": own["id"], **made}


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent / "r4"
    lines = [line(one, system(one)) for one in read(folder, "CodeSystem")]
    lines += [line(one, value_set(one)) for one in read(folder, "ValueSet")]
    lines += [line(one, concept_map(one)) for one in read(folder, "ConceptMap")]
    # What is alike lies together: a code system and the set of all its codes have the same id.
    write(out / "terms.tsv.gz", sorted(lines, key=lambda one: one.split("\t")[2::-2] + [one]))
    write(out / "structures.tsv.gz", list(Structures(read(folder, "StructureDefinition")).lines()))


if __name__ == "__main__":
    main()
