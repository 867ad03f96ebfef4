// npm fhir: its validator finds nothing in what the gateway serves that it did not find in what was sent.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { base } from './story.mjs';

const { Fhir } = createRequire(import.meta.url)('fhir');
const examples = process.argv[3] ?? '';
const fixtures = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../conformance/fixtures');
const headers = { 'Content-Type': 'application/fhir+json', Accept: 'application/fhir+json' };
const fhir = new Fhir();

function* sent() {
  for (const name of fs.readdirSync(fixtures).filter((name) => name.startsWith('rich-'))) {
    const text = fs.readFileSync(path.join(fixtures, name), 'utf8').replace(/\$\{[^}]*\}/g, 'x2');
    const resource = JSON.parse(text);
    yield { ...resource, id: `valid-${resource.resourceType}` };
  }
  if (!fs.existsSync(examples)) return;
  for (const name of fs.readdirSync(examples).filter((name) => name.endsWith('.ndjson'))) {
    yield JSON.parse(fs.readFileSync(path.join(examples, name), 'utf8').split('\n')[0]);
  }
}

const errors = (resource) =>
  fhir.validate(resource).messages.filter((message) => message.severity === 'error' || message.severity === 'fatal').map((message) => `${message.location}: ${message.message}`);

let count = 0;
let before = 0;
let refused = 0;
const fresh = [];
for (const resource of sent()) {
  const place = `${base}/${resource.resourceType}/${resource.id}`;
  const put = await fetch(place, { method: 'PUT', headers, body: JSON.stringify(resource) });
  if (!put.ok) {
    // Whether that is right is the business of tests/check.rs.
    refused += 1;
    continue;
  }
  const served = await (await fetch(place, { headers })).json();
  const known = errors(resource);
  fresh.push(...errors(served).filter((error) => !known.includes(error)).map((error) => `${resource.resourceType}: ${error}`));
  count += 1;
  before += known.length > 0;
}
console.log(`fhir: ${count} resources validated; in ${before} it finds faults of its own already when they are sent, ${refused} were not taken`);
if (count < (fs.existsSync(examples) ? 100 : 14)) throw new Error(`only ${count} resources were validated`);
if (fresh.length > 0) {
  console.error(`the validator finds what was not wrong before:\n${fresh.join('\n')}`);
  process.exit(1);
}
