// npm fhirclient (SMART): the same day's work in its words.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { COUNT, base, holds, located, observation, patient, refused, transaction } from './story.mjs';

// Without a browser it wants a request to answer; a script has none.
const smart = createRequire(import.meta.url)('fhirclient');
const client = smart({ url: '/', headers: {} }, {}).client(base);
const json = { 'Content-Type': 'application/fhir+json' };

const made = await client.create(patient('smart'));
for (let number = 0; number < COUNT; number++) await client.create(observation(made.id, number));

// `pageLimit: 0` is its word for following every next link.
const url = `Observation?patient=${made.id}&_include=Observation:subject&_count=2`;
const pages = await client.request(url, { pageLimit: 0 });
assert.equal(pages.length, Math.ceil(COUNT / 2));
holds(pages.flatMap((bundle) => bundle.entry), made.id);

const headers = { ...json, 'If-Match': `W/"${made.meta.versionId}"` };
const changed = await client.update({ ...made, active: true }, { headers });
assert.equal(changed.meta.versionId, '2');
assert.equal(await refused(client.update({ ...made, active: false }, { headers })), 412);
assert.equal((await client.request(`Patient/${made.id}`)).active, true);

const body = JSON.stringify(transaction.linked('smart-transaction'));
const done = await client.request({ url: '', method: 'POST', body, headers: json });
const [kind, id] = located(done.entry[1].response.location);
const linked = await client.request(`${kind}/${id}`);
assert.equal(linked.subject.reference, located(done.entry[0].response.location).join('/'));

await client.delete(`${kind}/${id}`);
assert.equal(await refused(client.request(`${kind}/${id}`)), 410);
console.log('fhirclient (npm): done');
