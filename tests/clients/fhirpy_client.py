"""PyPI fhirpy: create, search with includes, page to the end, update with a version and lose a race, transaction, delete."""

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, ResourceNotFound

from story import BASE, COUNT, located, observation, patient, transaction

client = SyncFHIRClient(BASE)

values = patient("fhirpy")
made = client.resource(values.pop("resourceType"), **values)
made.save()
assert made["meta"]["versionId"] == "1", made
subject = made.to_reference()
for number in range(COUNT):
    values = observation(subject.reference, number)
    client.resource(values.pop("resourceType"), **values).save()

found = client.resources("Observation").search(subject=subject.reference).include("Observation", "subject").limit(2)
ids = [item["id"] for item in found.fetch_all()]
assert len(ids) == COUNT == len(set(ids)), ids
raw = found.fetch_raw()
included = [entry["resource"]["id"] for entry in raw["entry"] if entry["search"]["mode"] == "include"]
assert included == [made["id"]], included
assert client.resources("Observation").search(subject=subject.reference, date__ge="2026-03-03").count() == COUNT - 2

# It sends the bare version in If-None-Match: nothing has changed, so nothing is sent.
made.refresh()
made["active"] = True
made.save()
assert made["meta"]["versionId"] == "2", made

# The client has no word for If-Match; its own request has.
late = {"If-Match": 'W/"1"'}
try:
    client._do_request("put", f"Patient/{made['id']}", data={**made, "active": False}, extra_headers=late)
    raise AssertionError("a lost race was not told")
except MultipleResourcesFound as told:
    # Its name for every 412.
    assert "version-conflict" in str(told), told
made.refresh()
assert made["active"] is True

done = client.execute("", data=transaction("fhirpy-transaction"))
who, what = (located(entry["response"]["location"]) for entry in done["entry"])
linked = client.reference(reference=what).to_resource()
assert linked["subject"]["reference"] == who, linked

linked.delete()
try:
    client.reference(reference=what).to_resource()
    raise AssertionError("what was deleted is still there")
except ResourceNotFound as told:
    assert "deleted" in str(told), told
print("fhirpy: done")
