#!/usr/bin/env python3
"""Whether a search stays as quick when the store grows: search.py [--small 1000] [--large 100000] [--data FOLDER]

For each size a new SQLite file is filled by `signa import` with 16 resources a patient (from the load data of `--data`, a folder
with gen.py), a gateway is started on it, and the same mix of searches is asked one after the other over one connection: by
id, patient, code, name, date, order, chain, `_has`, include, compartment, modifier, and pages. Before, each file is read once,
and the beat hears all that was imported. Told are p50 and p99 of each kind and of all. Ends with 1 when the p99 of all at the
large size is more than twice that at the small one, or a search fails. Databases are kept in `--work` and used again, since
filling the large one takes a while; one that an older program filled is brought up to date when the gateway starts.
"""
import argparse, http.client, json, os, random, socket, sqlite3, subprocess, sys, tempfile, time, urllib.parse

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--small", type=int, default=1_000)
arguments.add_argument("--large", type=int, default=100_000)
arguments.add_argument("--rounds", type=int, default=200, help="how often each kind of search is asked")
arguments.add_argument("--data", default="../shared/bench")
arguments.add_argument("--signa", default="target/release/signa")
arguments.add_argument("--wait", type=int, default=1_200, help="seconds to wait at most for the gateway, and for the beat")
arguments.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "signa-search"))
chosen = arguments.parse_args()
signa, MRN, SNOMED = os.path.abspath(chosen.signa), "urn:oid:2.16.840.1.113883.3.9999.1", "http://snomed.info/sct"


def filled(patients):
    """The database of this size, filled once."""
    folder = os.path.join(chosen.work, str(patients))
    path, ready = os.path.join(folder, "signa.db"), os.path.join(folder, "ready")
    if not os.path.exists(ready):
        os.makedirs(folder, exist_ok=True)
        # In parts, so that the text of one part and not of all lies on the disk beside the database.
        for first in range(1, patients + 1, 10_000):
            some = min(10_000, patients + 1 - first)
            subprocess.run([sys.executable, os.path.join(chosen.data, "gen.py"), "--out", folder, "--patients", str(some), "--first", str(first)], check=True)
            os.remove(os.path.join(folder, "bundles.ndjson"))
            files = sorted(name for name in os.listdir(folder) if name.endswith(".ndjson"))
            files.sort(key=lambda name: name != "patients.ndjson")
            subprocess.run([signa, "import", "--database", f"sqlite:{path}", *[os.path.join(folder, name) for name in files]], check=True, stdout=subprocess.DEVNULL)
            for name in files:
                os.remove(os.path.join(folder, name))
        open(ready, "w").close()
    return path


def mix(patients, draw):
    """One search of each kind, for a patient of the store."""
    number = draw.randint(1, patients)
    code = draw.choice(["44054006", "38341003", "195967001", "55822004", "13645005", "84114007"])
    patient = f"pat-{number:06}"
    return {
        "id": f"Patient?_id={patient}",
        "by patient": f"Condition?patient={patient}",
        "by patient, sorted": f"MedicationDispense?patient={patient}&_sort=-whenhandedover&_count=10",
        "by code": f"Condition?code={SNOMED}|{code}&_count=20",
        "by code alone": f"Condition?code={code}&_count=20",
        "two criteria": f"Condition?code={SNOMED}|{code}&patient={patient}",
        "name begins": "Patient?family=okaf&_count=20",
        "name holds": "Patient?name:contains=anak&_count=20",
        "birth date": f"Patient?birthdate=19{draw.randint(40, 99)}-0{draw.randint(1, 9)}&_count=20",
        "dates, sorted": "MedicationDispense?whenhandedover=ge2024-02-01&whenhandedover=lt2024-02-03&_sort=whenhandedover&_count=20",
        "sorted by name": "Patient?_sort=family&_count=20",
        "sorted, latest": "Condition?_sort=-_lastUpdated&_count=20",
        "not": "MedicationDispense?status:not=completed&_count=20",
        "missing": f"Condition?code={SNOMED}|{code}&encounter:missing=true&_count=20",
        "chain": f"Condition?patient.birthdate=19{draw.randint(40, 99)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}",
        "wide chain": f"Condition?patient.gender=female&code={SNOMED}|{code}&_count=20",
        "has": f"Patient?_has:Condition:patient:code={SNOMED}|{code}&_count=20",
        "include": f"Condition?code={SNOMED}|{code}&_include=Condition:subject&_count=20",
        "reverse include": f"Patient?_id={patient}&_revinclude=MedicationDispense:subject&_revinclude=Condition:subject",
        "compartment": f"Patient/{patient}/DiagnosticReport",
        "summary": f"Patient/{patient}/Condition?_summary=true",
    }


def is_up(gateway, port):
    """Whether a gateway answers; ends everything if it is gone."""
    if gateway.poll() is not None:
        sys.exit(f"the gateway ended with {gateway.returncode}: see {chosen.work}/serve.log")
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/health/live")
        return client.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def wait(what, is_so, pause):
    """Waits until something is so, and no longer than is allowed."""
    end = time.monotonic() + chosen.wait
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"waited {chosen.wait} s for {what}")
        time.sleep(pause)


def measured(patients):
    """Seconds of each search, by kind."""
    path = filled(patients)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What is measured is the program and not the disk: the system has the file in memory if there is room for it.
    with open(path, "rb") as database:
        while database.read(1 << 24):
            pass
    log = open(os.path.join(chosen.work, "serve.log"), "w")
    gateway = subprocess.Popen([signa, "serve", "--auth", "off", "--listen", f"127.0.0.1:{port}", "--database", f"sqlite:{path}"], stdout=log, stderr=log)
    taken = {}
    try:
        wait("the gateway to answer", lambda: is_up(gateway, port), 0.1)
        # What was imported is heard before anything is measured: the beat would write beside it.
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        wait("the beat to hear all", lambda: not database.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0], 1)
        database.close()
        client, draw = http.client.HTTPConnection("127.0.0.1", port, timeout=60), random.Random(7)
        for turn in range(chosen.rounds + 20):
            for kind, search in mix(patients, draw).items():
                url = "/fhir/" + urllib.parse.quote(search, safe="/?&=,:$*")
                pages = 2 if turn % 10 == 0 else 1
                while url and pages:
                    begin = time.perf_counter()
                    client.request("GET", url, headers={"Accept": "application/fhir+json"})
                    answer = client.getresponse()
                    body = answer.read()
                    # The first rounds only warm what the gateway and the system keep in memory.
                    if turn >= 20:
                        taken.setdefault(kind, []).append(time.perf_counter() - begin)
                    if answer.status != 200:
                        sys.exit(f"{search} was answered {answer.status}: {body[:300]}")
                    links = {link["relation"]: link["url"] for link in json.loads(body)["link"]}
                    url, pages = links.get("next"), pages - 1
                    url = url and url[url.index("/fhir/"):]
    finally:
        gateway.terminate()
        gateway.wait()
    return taken


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] * 1e3


small, large = measured(chosen.small), measured(chosen.large)
print(f"| search | p50 at {chosen.small} | p99 | p50 at {chosen.large} | p99 |\n|---|---|---|---|---|")
for kind in small:
    print(f"| {kind} | " + " | ".join(f"{quantile(values, part):.2f} ms" for values in (small[kind], large[kind]) for part in (0.5, 0.99)) + " |")
every = [[value for values in size.values() for value in values] for size in (small, large)]
ratio = quantile(every[1], 0.99) / quantile(every[0], 0.99)
print("| all | " + " | ".join(f"{quantile(values, part):.2f} ms" for values in every for part in (0.5, 0.99)) + f" |\n\np99 grows {ratio:.2f}-fold; up to 2 is right")
sys.exit(0 if ratio <= 2 else 1)
