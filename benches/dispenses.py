#!/usr/bin/env python3
"""Dispenses out of imported orders, and whether the right alerts come of them.

    signa import DIR… --database sqlite:signa.db
    SIGNA_REACT_TREATMENT=allowed signa serve --auth off --database sqlite:signa.db
    benches/dispenses.py --treatment allowed [--url http://127.0.0.1:8080/fhir] [--file signa.db] [--people N] [--seed 1]

Reads every MedicationRequest and Patient of the gateway, makes MedicationDispenses of the newest order of each product
group of a person (completed, 30 days' supply, handed over so many days ago that the refill plan acts now), and sends them
live. Says by a model of its own what must come of each step of the plan `refill`, and compares: the decisions (read from
the SQLite file, read-only) and what is recorded (read over HTTP). A few living persons are copied to a country where it
is night now, so that quiet hours are seen at any time of day. At the end everything is sent again: nothing may change.
The whole may be run again on the same day with the same seed; it finds what it found.
`--treatment` says what the gateway was started with. Ends with 1 when anything is amiss. Python 3 alone.
"""
import argparse, collections, concurrent.futures, datetime, http.client, json, os, random, sqlite3, sys, threading, time, urllib.parse

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--url", default="http://127.0.0.1:8080/fhir")
arguments.add_argument("--file", default="signa.db", help="the gateway's SQLite file; it is only read")
arguments.add_argument("--treatment", choices=["held", "allowed"], default="held")
arguments.add_argument("--people", type=int, default=0, help="of so many persons; 0 takes all")
arguments.add_argument("--night", type=int, default=5, help="so many living persons are copied to where it is night")
arguments.add_argument("--seed", type=int, default=1)
chosen = arguments.parse_args()
random.seed(chosen.seed)

BASE = urllib.parse.urlsplit(chosen.url)
JSON = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
SYSTEM = "urn:signa:benches:dispense"
RULE = "https://signa.example/fhir/PlanDefinition/refill"
SUPPLY = 30
# What happens to one product group of a person: the days ago on which it was handed over.
CASES = {"too new": [1], "advice": [4], "reminder": [27], "call": [31], "long ago": [45], "refilled late": [62, 27], "refilled early": [36, 9]}
# Countries of one zone, by hours east of Greenwich.
ZONES = {-5: "PE", -4: "BO", -3: "UY", 0: "IS", 1: "NG", 2: "ZA", 3: "KE", 4: "AE", 5: "PK", 6: "BD", 7: "TH", 8: "SG", 9: "JP", 12: "FJ"}
# First day after the one handed over (or the last covered one), and window in days, as the plan `refill` has them.
ADVICE, REMINDER, CALL = ("advice", 3, 2), ("reminder", -4, 3), ("call", 1, 3)
here = threading.local()


def massachusetts():
    """What time it is where the stores and all synthetic patients are."""
    now = datetime.datetime.now(datetime.timezone.utc)
    sundays = lambda month: [d for d in (datetime.date(now.year, month, n) for n in range(1, 31)) if d.weekday() == 6]
    return now - datetime.timedelta(hours=4 if sundays(3)[1] <= now.date() < sundays(11)[0] else 5)


HERE = massachusetts()
TODAY = HERE.date()
STORES = []


def call(method, path, resource=None):
    """One request over this thread's connection."""
    if not hasattr(here, "line"):
        here.line = http.client.HTTPConnection(BASE.hostname, BASE.port or 80, timeout=60)
    here.line.request(method, BASE.path + path, json.dumps(resource) if resource else None, JSON)
    answer = here.line.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else {}


def every(kind):
    """All resources of a type, page by page."""
    found, path = [], f"/{kind}?_count=500"
    while path:
        status, page = call("GET", path)
        if status != 200:
            sys.exit(f"GET {path}: {status} {json.dumps(page)[:300]}")
        found += [entry["resource"] for entry in page.get("entry", [])]
        following = [link["url"] for link in page.get("link", []) if link["relation"] == "next"]
        path = following[0].split(BASE.path, 1)[1] if following else None
    return found


def ask(sql, *values):
    database = sqlite3.connect(f"file:{os.path.abspath(chosen.file)}?mode=ro", uri=True, timeout=30)
    try:
        return database.execute(sql, values).fetchall()
    finally:
        database.close()


def settle():
    """Waits until every event was reacted to and nothing is due."""
    for _ in range(1200):
        now = int(time.time() * 1000)
        if not ask("SELECT 1 FROM events LIMIT 1") and not ask("SELECT 1 FROM dues WHERE due <= ? LIMIT 1", now):
            return
        time.sleep(0.1)
    sys.exit("the gateway still has something to react to after two minutes")


def groups():
    """Product code -> ingredients, from the shipped table."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mappings", "products", "ingredients.json")
    table = {}
    for group in json.load(open(path, encoding="utf-8"))["group"]:
        for element in group["element"]:
            table[(group["source"], element["code"])] = "+".join(sorted(target["code"] for target in element["target"]))
    return table


def product(order, table):
    coding = order.get("medicationCodeableConcept", {}).get("coding", [{}])[0]
    code = (coding.get("system"), coding.get("code"))
    return table.get(code, f"{code[0]}|{code[1]}") if all(code) else None


def dead(patient):
    return "deceasedDateTime" in patient or patient.get("deceasedBoolean") is True


def minor(patient):
    born = patient.get("birthDate", "")
    return len(born) == 10 and born > TODAY.replace(year=TODAY.year - 18).isoformat()


def hour_of(patient):
    """The hour of the day where a patient lives."""
    country = (patient.get("address") or [{}])[0].get("country")
    away = [hours for hours, name in ZONES.items() if name == country]
    return (datetime.datetime.now(datetime.timezone.utc).hour + away[0]) % 24 if away else HERE.hour


def night(patients):
    """Living, grown patients copied to a country where it is night now, with one order each."""
    hour = datetime.datetime.now(datetime.timezone.utc).hour
    away, country = min(ZONES.items(), key=lambda zone: abs((hour + zone[0]) % 24 - 2))
    living = sorted((p for p in patients if not dead(p) and not minor(p)), key=lambda p: p["id"])[: chosen.night]
    for patient in living:
        name = "night-" + patient["id"][:40]
        copy = {"resourceType": "Patient", "id": name, "identifier": [{"system": SYSTEM, "value": name}], "name": patient["name"],
                "birthDate": patient["birthDate"], "telecom": patient["telecom"], "address": [{"country": country}]}
        order = {"resourceType": "MedicationRequest", "id": name, "status": "active", "intent": "order", "subject": {"reference": f"Patient/{name}"},
                 "medicationCodeableConcept": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "314076"}]}}
        for made in (copy, order):
            status, answer = call("PUT", f"/{made['resourceType']}/{name}", made)
            if status not in (200, 201):
                sys.exit(f"PUT {made['resourceType']}/{name}: {status} {json.dumps(answer)[:300]}")
    return country


def dispense(order, ago, case):
    handed = TODAY - datetime.timedelta(days=ago)
    days = lambda unit: {"value": SUPPLY, "unit": unit, "system": "http://unitsofmeasure.org", "code": "d" if unit == "days" else "{tbl}"}
    store = STORES[sum(order["subject"]["reference"].encode()) % len(STORES)]
    return {"resourceType": "MedicationDispense", "identifier": [{"system": SYSTEM, "value": f"{order['id']}.{handed}"}], "status": "completed",
            "medicationCodeableConcept": order["medicationCodeableConcept"], "subject": {"reference": order["subject"]["reference"]},
            "authorizingPrescription": [{"reference": f"MedicationRequest/{order['id']}"}], "quantity": days("tablets"), "daysSupply": days("days"),
            "whenHandedOver": handed.isoformat(), "performer": [{"actor": {"reference": f"Organization/{store}"}}], "note": [{"text": case}]}


def expected(case, order, patient):
    """(fill, step) -> what must come of it. A message that passes all gates is `message`: said, or held by the cap."""
    ended, wanted = order["status"] in ("stopped", "cancelled", "entered-in-error"), {}
    fills, free = sorted(CASES[case], reverse=True), -10_000
    for at, ago in enumerate(fills):
        first = max(-ago, free)
        free, last = first + SUPPLY, first + SUPPLY - 1
        for step, days, window in (ADVICE, REMINDER, CALL):
            due = -ago + days if step == "advice" else last + days
            if step != "advice" and at + 1 < len(fills):
                outcome = ("withdrawn", "moved")
            elif due > 0:
                outcome = ("due", "")
            elif due + window < 0:
                outcome = ("stopped", "timely")
            elif dead(patient):
                outcome = ("stopped", "alive")
            elif ended and step != "advice":
                outcome = ("stopped", "therapy")
            elif step == "call":
                outcome = ("fired", "")
            elif chosen.treatment == "held":
                outcome = ("held", "consent")
            elif minor(patient):
                outcome = ("held", "guardian")
            elif not 8 <= hour_of(patient) < 21:
                outcome = ("held", "quiet")
            else:
                outcome = ("message", "")
            wanted[(ago, step)] = outcome
    return wanted


def main():
    status, _ = call("GET", "/metadata")
    if status != 200:
        sys.exit(f"no gateway answers at {chosen.url}")
    STORES.extend(sorted(o["id"] for o in every("Organization") if (o.get("address") or [{}])[0].get("state") == "MA"))
    country = night(every("Patient"))
    settle()
    patients = {p["id"]: p for p in every("Patient")}
    table, newest = groups(), {}
    for order in every("MedicationRequest"):
        who, what = order.get("subject", {}).get("reference", "").removeprefix("Patient/"), product(order, table)
        if who in patients and what and order.get("authoredOn", "") >= newest.get((who, what), {}).get("authoredOn", ""):
            newest[(who, what)] = order
    people = sorted({who for who, _ in newest})
    kept = set(people if not chosen.people else random.sample(people, min(chosen.people, len(people)))) | {p for p in people if p.startswith("night-")}
    plan = []
    for who, what in sorted(newest):
        if who in kept:
            case = "reminder" if who.startswith("night-") else random.choice(list(CASES))
            plan.append((who, what, case, newest[(who, what)]))
    sent = [(who, case, order, ago, dispense(order, ago, case)) for who, _, case, order in plan for ago in CASES[case]]
    random.shuffle(sent)
    before = {kind: len(every(kind)) for kind in ("Communication", "CommunicationRequest", "Task")}
    print(f"{len(patients)} patients, {sum(map(dead, patients.values()))} of them dead; {len(plan)} product groups of {len(kept)} persons, "
          f"{len(sent)} dispenses; {len([p for p in kept if p.startswith('night-')])} live in {country}, where it is night", flush=True)
    begun = time.perf_counter()
    ids = send(sent)
    posted = time.perf_counter() - begun
    settle()
    print(f"sent in {posted:.1f} s, decided after {time.perf_counter() - begun:.1f} s", flush=True)
    faults = compare(plan, ids, patients) + recorded(patients, before)
    counted = state()
    send(sent)
    settle()
    if (again := state()) != counted:
        faults.append(f"sent a second time, something changed: {counted} -> {again}")
    print(f"sent again: {again[2]} decisions, {again[0]} messages, {again[1]} tasks, as before" if again == counted else "sent again: CHANGED")
    for fault in faults[:20]:
        print("  FAULT", fault)
    print(f"{len(faults)} faults")
    sys.exit(1 if faults else 0)


def send(sent):
    """Posts all dispenses over eight connections; (order, days ago) -> id of the fact."""
    def post(line):
        _, _, order, ago, resource = line
        status, answer = call("POST", "/MedicationDispense", resource)
        if status != 201:
            sys.exit(f"POST MedicationDispense: {status} {json.dumps(answer)[:400]}")
        return (order["id"], ago), answer["id"]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        ids = dict(threads.map(post, sent))
    # Of one fact the first resource counts: where this ran before, that is the one sent then.
    first = dict(ask("SELECT r.id, f.id FROM resources r JOIN resources f ON f.number = r.fact WHERE r.kind = 'MedicationDispense'"))
    return {key: first[dispense_id] for key, dispense_id in ids.items()}


def state():
    count = lambda sql: ask(sql)[0][0]
    return (count("SELECT count(*) FROM resources WHERE kind = 'Communication'"), count("SELECT count(*) FROM resources WHERE kind = 'Task'"),
            count("SELECT count(*) FROM decisions"), count("SELECT count(*) FROM dues"))


def compare(plan, ids, patients):
    """Decisions and dues against the model, a line per case."""
    by_dispense = collections.defaultdict(dict)
    for step, outcome, gate, facts, rule in ask("SELECT step, outcome, gate, facts, rule FROM decisions ORDER BY person, output, ordinal"):
        for fact in json.loads(facts):
            if rule.startswith(RULE + "|") and fact.startswith("MedicationDispense/"):
                by_dispense[fact.split("/")[1]][step] = (outcome, gate)
    waiting = {(json.loads(detail)["trigger"].split("/")[1], step) for step, detail in ask("SELECT step, detail FROM dues WHERE rule LIKE ?", RULE + "|%")}
    faults, rows, said = [], collections.defaultdict(collections.Counter), collections.defaultdict(list)
    for who, what, case, order in plan:
        patient = patients[who]
        kind = "of the dead" if dead(patient) else "of minors" if minor(patient) else "at night" if who.startswith("night-") else case
        for (ago, step), want in expected(case, order, patient).items():
            dispense_id = ids[(order["id"], ago)]
            got = by_dispense[dispense_id].get(step, ("nothing", ""))
            if (dispense_id, step) in waiting and got[0] != "held":
                got = ("due", "")
            # An early fill that arrives before the next one may already have been too late for its own reminder.
            right = {"message": [("fired", ""), ("held", "caps")], "withdrawn": [want, ("stopped", "timely")]}.get(want[0], [want])
            ok = got in right
            if want[0] == "message":
                said[who].append(got[0])
            if not ok:
                faults.append(f"{case}: {step} of MedicationDispense/{dispense_id} (Patient/{who}, {what}): {got}, expected {want}")
            rows[kind]["steps"] += 1
            rows[kind][f"{got[0]} {got[1]}".strip() if got[0] != "fired" else ("task" if step == "call" else "message")] += 1
            rows[kind]["amiss"] += not ok
    faults += [f"Patient/{who} was sent {outcomes.count('fired')} messages today" for who, outcomes in said.items() if outcomes.count("fired") != 1]
    columns = ["steps"] + sorted({name for row in rows.values() for name in row} - {"steps", "amiss"}) + ["amiss"]
    print("\n| dispenses | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for kind in [*CASES, "of minors", "of the dead", "at night"]:
        if kind in rows:
            print(f"| {kind} | " + " | ".join(str(rows[kind][name] or "") for name in columns) + " |")
    total = sum(rows.values(), collections.Counter())
    print("| all | " + " | ".join(str(total[name]) for name in columns) + " |\n")
    return faults


def recorded(patients, before):
    """What stands in the store, read over HTTP as anybody would."""
    messages, requests, tasks = every("Communication"), {r["id"]: r for r in every("CommunicationRequest")}, every("Task")
    faults, status, to = [], collections.Counter(), collections.Counter()
    for message in messages:
        who = message.get("subject", {}).get("reference", "").removeprefix("Patient/")
        status[f"Communication {message['status']}"] += 1
        if message["status"] == "completed":
            to[who] += 1
            if dead(patients[who]):
                faults.append(f"Communication/{message['id']} was sent to the dead Patient/{who}")
        elif dead(patients[who]) and message["status"] != "not-done":
            faults.append(f"Communication/{message['id']} of the dead Patient/{who} is {message['status']}")
        named = [b.get("reference", "").removeprefix("CommunicationRequest/") for b in message.get("basedOn", [])]
        if not any(name in requests for name in named):
            faults.append(f"Communication/{message['id']} is based on no CommunicationRequest that is there: {named}")
    for task in tasks:
        status[f"Task {task['status']}"] += 1
        if dead(patients[task["for"]["reference"].removeprefix("Patient/")]):
            faults.append(f"Task/{task['id']} is for the dead")
        if task.get("owner", {}).get("reference", "").removeprefix("Organization/") not in STORES:
            faults.append(f"Task/{task['id']} is owned by no store: {task.get('owner')}")
    faults += [f"Patient/{who} got {count} messages in one day" for who, count in to.items() if count > 1]
    print(f"recorded: {', '.join(f'{count} {name}' for name, count in sorted(status.items()))} (before: {before}); most messages to one person: {max(to.values(), default=0)}")
    return faults


main()
