// npm fhir-kit-client: create, search with includes, page to the end, update with a version and lose a race, transaction, delete.
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';
import { COUNT, base, holds, located, observation, patient, refused, transaction } from './story.mjs';

const client = new Client({ baseUrl: base });
const statement = await client.capabilityStatement();
assert.equal(statement.fhirVersion, '4.0.1');

const made = await client.create({ resourceType: 'Patient', body: patient('kit') });
assert.equal(made.meta.versionId, '1');
for (let number = 0; number < COUNT; number++) {
  await client.create({ resourceType: 'Observation', body: observation(made.id, number) });
}

const searchParams = { subject: `Patient/${made.id}`, _include: 'Observation:subject', _sort: '-date', _count: 2 };
let page = await client.search({ resourceType: 'Observation', searchParams });
const entries = [];
let pages = 0;
while (page) {
  entries.push(...page.entry);
  pages += 1;
  page = page.link.some((link) => link.relation === 'next') ? await client.nextPage({ bundle: page }) : undefined;
}
assert.equal(pages, Math.ceil(COUNT / 2));
holds(entries, made.id);
const counted = { ...searchParams, _total: 'accurate' };
const posted = await client.search({ resourceType: 'Observation', searchParams: counted, options: { postSearch: true } });
assert.equal(posted.total, COUNT);

const changed = { ...made, active: true };
const first = { headers: { 'If-Match': `W/"${made.meta.versionId}"` } };
const second = await client.update({ resourceType: 'Patient', id: made.id, body: changed, options: first });
assert.equal(second.meta.versionId, '2');
const late = client.update({ resourceType: 'Patient', id: made.id, body: { ...made, active: false }, options: first });
assert.equal(await refused(late), 412);
assert.equal((await client.read({ resourceType: 'Patient', id: made.id })).active, true);
assert.equal((await client.vread({ resourceType: 'Patient', id: made.id, version: '1' })).active, undefined);
assert.equal((await client.history({ resourceType: 'Patient', id: made.id })).total, 2);

const done = await client.transaction({ body: transaction.linked('kit-transaction') });
const [, patientId] = located(done.entry[0].response.location);
const [, observationId] = located(done.entry[1].response.location);
const linked = await client.read({ resourceType: 'Observation', id: observationId });
assert.equal(linked.subject.reference, `Patient/${patientId}`);

await client.delete({ resourceType: 'Observation', id: observationId });
assert.equal(await refused(client.read({ resourceType: 'Observation', id: observationId })), 410);
console.log('fhir-kit-client: done');
