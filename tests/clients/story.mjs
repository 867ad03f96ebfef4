// What every client is asked to do, as data, so that the stories differ only in the client's own words.
import assert from 'node:assert/strict';

export const base = process.argv[2] ?? '';
if (!base) throw new Error('say the FHIR base, for example http://127.0.0.1:8080/fhir');

/** So many observations are read in pages of two. */
export const COUNT = 5;
const system = 'urn:signa:clients';

export const patient = (name) => ({
  resourceType: 'Patient',
  identifier: [{ system, value: `${name}-${process.pid}` }],
  name: [{ family: 'Østergård', given: ['Ana', 'María'] }],
  birthDate: '1961-07-04',
});

export const observation = (id, number) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: `Patient/${id}` },
  effectiveDateTime: `2026-03-0${number + 1}T09:00:00+01:00`,
  valueQuantity: { value: 60 + number, unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
});

export const transaction = (name) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      fullUrl: 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a',
      resource: patient(name),
      request: { method: 'POST', url: 'Patient' },
    },
    {
      resource: observation('x', 0),
      request: { method: 'POST', url: 'Observation' },
    },
  ],
});
transaction.linked = (name) => {
  const bundle = transaction(name);
  bundle.entry[1].resource.subject.reference = bundle.entry[0].fullUrl;
  return bundle;
};

/** The type and id of `Patient/1/_history/1`, with or without a base. */
export const located = (location) => location.replace(/\/_history.*/, '').split('/').slice(-2);

/** Whether the pages held each observation once, and the patient as included. */
export function holds(entries, id) {
  const found = entries.filter((entry) => entry.search.mode === 'match').map((entry) => entry.resource.id);
  assert.equal(found.length, COUNT);
  assert.equal(new Set(found).size, COUNT);
  const included = entries.filter((entry) => entry.search.mode === 'include').map((entry) => entry.resource.id);
  assert.deepEqual([...new Set(included)], [id]);
}

/** The status with which a promise was refused. */
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error.response?.status ?? error.statusCode ?? error.status;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}
