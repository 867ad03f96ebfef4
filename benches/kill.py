#!/usr/bin/env python3
"""What survives `kill -9` under load: kill.py [--rounds 20] [--writers 6] [--signa target/release/signa] [--database URL]

Each round starts the gateway on the same database, writes over several connections (a transaction of patient,
consent and chemotherapy diagnosis each), and kills it at a random moment. Then the chain is verified, and after
the restart every acknowledged write is read again. A receiver that subscribed to the diagnoses must be told of each
acknowledged one, and each of these patients must have been written to exactly once. Ends with 1 when anything is amiss.
"""
import argparse, http.client, http.server, json, os, random, shutil, signal, socket, subprocess, sys, tempfile, threading, time, uuid

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--rounds", type=int, default=20)
arguments.add_argument("--writers", type=int, default=6)
arguments.add_argument("--signa", default="target/release/signa")
arguments.add_argument("--database", default="", help="default: a temporary SQLite file")
arguments.add_argument("--seed", type=int, default=1)
arguments.add_argument("--grace", type=float, default=90, help="seconds in which the last alerts must arrive")
chosen = arguments.parse_args()

SNOMED, CHEMOTHERAPY = "http://snomed.info/sct", "367336001"
JSON = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
# Countries of one zone, by hours east of Greenwich: the patients live where it is noon now, so no quiet hour holds the message.
NOON = {-5: "PE", -4: "BO", -3: "UY", 0: "IS", 1: "NG", 2: "ZA", 3: "KE", 4: "AE", 5: "PK", 6: "BD", 7: "TH", 8: "SG", 9: "JP", 12: "FJ"}
random.seed(chosen.seed)
folder = tempfile.mkdtemp(prefix="signa-kill-")
database = chosen.database or f"sqlite:{folder}/signa.db"
signa = os.path.abspath(chosen.signa)
RUN = uuid.uuid4().hex[:8]


def country():
    hour = time.gmtime().tm_hour
    return min(NOON.items(), key=lambda zone: abs((hour + zone[0]) % 24 - 13))[1]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told, ids, lock = {}, {}, threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body:
            name = json.loads(body)["id"]
            with self.lock:
                self.told[name] = self.told.get(name, 0) + 1
                self.ids.setdefault(name, set()).add(self.headers.get("webhook-id"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A killed gateway breaks its connections off; that is what this is about."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(connection, method, path, resource=None):
    connection.request(method, "/fhir" + path, json.dumps(resource) if resource else None, JSON)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else {}


def start(port):
    begun = time.perf_counter()
    log = open(f"{folder}/signa.log", "ab")
    server = subprocess.Popen([signa, "serve", "--auth", "off", "--listen", f"127.0.0.1:{port}", "--database", database],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    while time.perf_counter() - begun < 60:
        if server.poll() is not None:
            sys.exit(f"the gateway ended with {server.returncode}: see {folder}/signa.log")
        try:
            probe = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            probe.request("GET", "/health/ready")
            if probe.getresponse().status == 200:
                return server, time.perf_counter() - begun
        except OSError:
            pass
        time.sleep(0.005)
    sys.exit("the gateway is not ready after 60 s")


def unit(name, where):
    patient, subject = f"p-{name}", {"reference": f"Patient/p-{name}"}
    phone = "+1555" + str(uuid.uuid5(uuid.NAMESPACE_OID, name).int % 10**9).zfill(9)
    coded = lambda system, code: {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/" + system, "code": code}]}
    resources = [
        {"resourceType": "Patient", "id": patient, "identifier": [{"system": "urn:kill", "value": name}], "birthDate": "1960-01-01",
         "telecom": [{"system": "phone", "value": phone}], "address": [{"country": where}]},
        {"resourceType": "Consent", "id": f"a-{name}", "status": "active", "scope": coded("consentscope", "patient-privacy"),
         "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": subject, "dateTime": "2024-01-01",
         "policyRule": coded("v3-ActCode", "OPTIN"),
         "provision": {"type": "permit", "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}},
        {"resourceType": "Condition", "id": f"c-{name}", "clinicalStatus": coded("condition-clinical", "active"),
         "verificationStatus": coded("condition-ver-status", "confirmed"), "subject": subject,
         "code": {"coding": [{"system": SNOMED, "code": CHEMOTHERAPY}]}, "recordedDate": time.strftime("%Y-%m-%d", time.gmtime())}]
    entry = lambda r: {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry(r) for r in resources]}


def write(port, round_, writer, acknowledged, refused):
    connection, count = http.client.HTTPConnection("127.0.0.1", port, timeout=30), 0
    where = country()
    while True:
        name = f"{RUN}-{round_}-{writer}-{count}"
        count += 1
        try:
            status, answer = call(connection, "POST", "", unit(name, where))
        except (OSError, http.client.HTTPException, ValueError):
            return
        if status == 200:
            acknowledged.append(name)
        else:
            refused.append((status, json.dumps(answer)[:300]))
            return


def missing(port, names):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    return [f"{kind}/{letter}-{name}" for name in names for kind, letter in (("Patient", "p"), ("Condition", "c"))
            if call(connection, "GET", f"/{kind}/{letter}-{name}")[0] != 200]


def written_to(port):
    """How many messages each patient got: every page of our Communications."""
    connection, counts = http.client.HTTPConnection("127.0.0.1", port, timeout=60), {}
    path = "/Communication?_count=500"
    while path:
        _, page = call(connection, "GET", path)
        for entry in page.get("entry", []):
            name = entry["resource"].get("subject", {}).get("reference", "")[len("Patient/p-"):]
            counts[name] = counts.get(name, 0) + 1
        links = [link["url"] for link in page.get("link", []) if link["relation"] == "next"]
        path = links[0].split("/fhir", 1)[1] if links else None
    return counts


def verify():
    return subprocess.run([signa, "ledger", "verify", "--database", database], stdin=subprocess.DEVNULL, cwd=folder, capture_output=True, text=True)


def main():
    receiver = Listener(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    acknowledged, refused, faults = [], [], []
    print("| round | ready s | lived s | acknowledged | lost | chain |\n|---|---|---|---|---|---|", flush=True)
    for round_ in range(chosen.rounds):
        port = free_port()
        server, ready = start(port)
        if round_ == 0:
            wanted = {"resourceType": "Subscription", "status": "requested", "reason": "kill", "criteria": f"Condition?code={SNOMED}|{CHEMOTHERAPY}",
                      "channel": {"type": "rest-hook", "endpoint": f"http://127.0.0.1:{receiver.server_address[1]}/hook", "payload": "application/fhir+json"}}
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            status, made = call(client, "POST", "/Subscription", wanted)
            if status != 201:
                sys.exit(f"the subscription was refused: {made}")
            for _ in range(500):
                if call(client, "GET", f"/Subscription/{made['id']}")[1].get("status") == "active":
                    break
                time.sleep(0.02)
            else:
                sys.exit("the subscription does not become active")
        lists = [[] for _ in range(chosen.writers)]
        writers = [threading.Thread(target=write, args=(port, round_, n, lists[n], refused)) for n in range(chosen.writers)]
        [w.start() for w in writers]
        lived = random.uniform(0.3, 2.5)
        time.sleep(lived)
        server.send_signal(signal.SIGKILL)
        server.wait()
        [w.join() for w in writers]
        new = [name for names in lists for name in names]
        acknowledged += new
        verdict = verify()
        port = free_port()
        server, again = start(port)
        lost = missing(port, new)
        server.send_signal(signal.SIGKILL)
        server.wait()
        faults += lost + ([] if verdict.returncode == 0 else [f"round {round_}: verify: {verdict.stdout}{verdict.stderr}"])
        chain = "verifies" if verdict.returncode == 0 else f"FAULT {verdict.returncode}"
        print(f"| {round_ + 1} | {max(ready, again):.2f} | {lived:.1f} | {len(new)} | {len(lost)} | {chain} |", flush=True)

    server, _ = start(port := free_port())
    end = time.time() + chosen.grace
    while time.time() < end:
        untold = [name for name in acknowledged if f"c-{name}" not in Receiver.told]
        counts = written_to(port)
        unwritten = [name for name in acknowledged if name not in counts]
        if not untold and not unwritten:
            break
        time.sleep(0.5)
    lost = missing(port, acknowledged)
    doubled = [name for name, count in counts.items() if count > 1]
    renamed = [name for name, ids in Receiver.ids.items() if len(ids) > 1]
    repeated = sum(count - 1 for count in Receiver.told.values())
    server.send_signal(signal.SIGTERM)
    server.wait()
    verdict = verify()
    print(f"\n{chosen.rounds} rounds, {len(acknowledged)} acknowledged transactions ({3 * len(acknowledged)} resources): "
          f"{len(lost)} resources lost, {len(untold)} alerts lost, {len(unwritten)} patients not written to, {len(doubled)} written to twice, "
          f"{repeated} notices repeated after a kill ({len(renamed)} of them under another id), refused {len(refused)}, verify ended with {verdict.returncode}")
    for fault in (faults + refused + untold + unwritten + doubled + renamed)[:10]:
        print("  ", fault)
    bad = faults or lost or untold or unwritten or doubled or renamed or refused or verdict.returncode
    if not bad:
        shutil.rmtree(folder)
    else:
        print(f"kept for inspection: {folder}")
    sys.exit(1 if bad else 0)


main()
