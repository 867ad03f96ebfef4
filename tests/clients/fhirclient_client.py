"""PyPI fhirclient (SMART): the same day's work in its words; every answer goes through its models."""

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from requests import HTTPError

from story import BASE, COUNT, located, observation, patient, transaction

server = FHIRClient(settings={"app_id": "signa", "api_base": BASE}).server
assert server.capabilityStatement.fhirVersion == "4.0.1"


def refused(act):
    try:
        act()
    except HTTPError as told:
        return told.response.status_code
    except Exception as told:  # Its own classes for 401, 403 and 404.
        return told.response.status_code
    raise AssertionError("it was not refused")


made = Patient(patient("smart-python"))
made.id = made.create(server)["id"]
subject = f"Patient/{made.id}"
for number in range(COUNT):
    assert Observation(observation(subject, number)).create(server)

search = Observation.where({"subject": subject, "_count": "2"}).include("subject", Observation)
pages = list(search.perform_iter(server))
assert len(pages) == (COUNT + 1) // 2, len(pages)
entries = [entry for page in pages for entry in page.entry]
ids = [entry.resource.id for entry in entries if entry.search.mode == "match"]
assert len(ids) == COUNT == len(set(ids)), ids
assert {entry.resource.id for entry in entries if entry.search.mode == "include"} == {made.id}

made = Patient.read(made.id, server)
assert made.meta.versionId == "1"
made.active = True
server.session.headers["If-Match"] = 'W/"1"'
assert made.update(server)["meta"]["versionId"] == "2"
made.active = False
assert refused(lambda: made.update(server)) == 412
del server.session.headers["If-Match"]
assert Patient.read(made.id, server).active is True

done = Bundle(server.post_json("", transaction("smart-python-transaction")).json())
who, what = (located(entry.response.location) for entry in done.entry)
linked = Observation.read_from(what, server)
assert linked.subject.reference == who

linked.delete()
assert refused(lambda: Observation.read_from(what, server)) == 410
print("fhirclient (PyPI): done")
