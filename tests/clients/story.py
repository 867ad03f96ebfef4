"""What every client is asked to do, as data, so that the stories differ only in the client's own words."""

import os
import sys

BASE = sys.argv[1]
# So many observations are read in pages of two.
COUNT = 5


def patient(name):
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:signa:clients", "value": f"{name}-{os.getpid()}"}],
        "name": [{"family": "Østergård", "given": ["Ana", "María"]}],
        "birthDate": "1961-07-04",
    }


def observation(subject, number):
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": f"2026-03-0{number + 1}T09:00:00+01:00",
        "valueQuantity": {"value": 60 + number, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


def transaction(name):
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    entries = [
        {"fullUrl": urn, "resource": patient(name), "request": {"method": "POST", "url": "Patient"}},
        {"resource": observation(urn, 0), "request": {"method": "POST", "url": "Observation"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def located(location):
    """`Patient/1` of `http://host/fhir/Patient/1/_history/1`."""
    return "/".join(location.split("/_history")[0].split("/")[-2:])
