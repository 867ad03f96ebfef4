"""Makes rules, each listening to a code of its own, half of them to diagnoses and half to dispenses: for measuring what many rules cost.

    python3 benches/rules.py COUNT DIR
    signa serve --auth off --mappings DIR
"""

import json
import pathlib
import sys

ROOT = "https://signa.example/fhir"
LISTENED = [
    ("Condition", "code", "http://snomed.info/sct"),
    ("MedicationDispense", "medication", "http://www.nlm.nih.gov/research/umls/rxnorm"),
]


def rule(number):
    """A word on the day after something that nobody has."""
    kind, path, system = LISTENED[number % len(LISTENED)]
    code = {"system": system, "code": str(900_000_000 + number)}
    after = {"actionId": "found", "relationship": "after-start",
             "offsetDuration": {"value": 1, "code": "d", "system": "http://unitsofmeasure.org"}}
    word = {"id": "word", "definitionCanonical": f"{ROOT}/ActivityDefinition/follow-up-message", "relatedAction": [after]}
    data = {"type": kind, "codeFilter": [{"path": path, "code": [code]}]}
    return {
        "resourceType": "PlanDefinition", "id": f"many-{number}", "url": f"https://clinic.example/many-{number}", "version": "1",
        "status": "active", "meta": {"profile": [f"{ROOT}/StructureDefinition/signa-plan"]},
        "extension": [{"url": f"{ROOT}/StructureDefinition/plan-priority", "valueCode": "clinical"}],
        "approvalDate": "2026-05-01", "reviewer": [{"name": "Nobody"}],
        "action": [{"id": "found", "trigger": [{"type": "data-added", "data": [data]}], "action": [word]}],
    }


def main():
    """Writes them, a file each."""
    count, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"many-{number}.json").write_text(json.dumps(rule(number)))


main()
