"""Exports: generated sales orders out of a table into a zipped package with its digest in the blob store, against a copy of the
table piped through gzip, and against dlt, the loader whose users write the same in a few lines.

The floors (`\\copy … to stdout | gzip -6`, `sqlite3 -csv | gzip -6`) and dlt compute no digest, write no manifest, sync nothing and order
nothing. E1 counts from the request to run until the package waits under a lease; the download comes after that, and verifies it."""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import time
import urllib.request

from .imports import TABLE, ImportService, columns_of, dlt_environment, python
from .machine import Broken, lane_folder, run
from .servers import CLIENT, Postgres, Tranship

JOB = "Bench export"
ENTITY = "Generated sales orders"


class Orders:
    """The generated orders, and the table they go into."""

    def __init__(self, binary, folder, rows):
        self.rows, self.path = rows, folder / "orders.csv"
        run(binary, "generate", "sales-orders", "--rows", rows, "--out", self.path)
        self.path.chmod(0o644)
        self.ddl = {kind: run(binary, "generate", "set-up", "--table", kind) for kind in ("sqlite", "postgres")}

    def into_sqlite(self, file):
        """As an import of Tranship leaves them: no value where the file has none, truth values as numbers."""
        columns = columns_of(self.ddl["sqlite"])
        value = lambda name: f"{name} = 'true'" if name == "prepaid" else f"nullif({name}, '')"
        commands = [
            "pragma journal_mode = wal", self.ddl["sqlite"], f"create temp table incoming ({', '.join(f'{name} text' for name in columns)})",
            f".import --csv --skip 1 --schema temp '{self.path}' incoming",
            f"insert into {TABLE} select {', '.join(value(name) for name in columns)} from incoming",
        ]
        run("sqlite3", "-bail", file, *commands)

    def into_postgres(self, postgres, database):
        url = postgres.at(database)
        postgres.sql(self.ddl["postgres"], database)
        run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", f"\\copy {TABLE} from '{self.path}' csv header")
        # Hint bits and statistics are on nobody's bill.
        postgres.sql(f"vacuum analyze {TABLE}", database)


class ExportService(ImportService):
    """`tranship serve` with a job that exports the orders as a package."""

    def __init__(self, binary, folder, name, store=None, database=None, more=""):
        super().__init__(binary, folder, name, store, database)
        (self.folder / "jobs" / "bench-export.toml").write_text(
            f'id = "8c1d7f0e-5b0a-4f57-9e0c-3f2f6a2d9b42"\nname = "{JOB}"\ndirection = "export"\ndata_source = "package"\n'
            f'clients = ["{CLIENT}"]\n\n[export]\nformat = "csv"\n\n[[export.entities]]\nentity = "{ENTITY}"\n{more}'
        )

    def call(self, path, headers, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {**headers, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def export(self):
        """Runs the job: seconds until its package waits, and what the lease says of that."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        job = f"/api/v1/jobs/{urllib.request.quote(JOB)}"
        began = time.monotonic()
        due = self.call(f"{job}/run", headers, {})["due_at"]
        while True:
            leases = self.call(f"{job}/leases", headers, {"wait_seconds": 10, "payload": "none"})["leases"]
            seconds = time.monotonic() - began
            listed = self.call(f"{job}/occurrences?limit=10", headers)["occurrences"]
            occurrence = next(one for one in listed if one["due_at"] == due)
            if leases:
                return seconds, leases[0], occurrence
            if occurrence["state"] not in ("due", "running"):
                raise Broken(f"the export queued nothing: {json.dumps(occurrence)}")

    def collect(self, lease, path):
        """Downloads the package, verifies its digest and acknowledges it: seconds."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        digest, began = hashlib.sha256(), time.monotonic()
        request = urllib.request.Request(self.url + lease["links"]["payload"], headers=headers)
        with urllib.request.urlopen(request, timeout=600) as answer, open(path, "wb") as out:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                out.write(chunk)
        stated = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        if stated != lease["digest"]:
            raise Broken(f"the package that arrived has {stated}, the service stated {lease['digest']}")
        self.call(f"/api/v1/leases/{urllib.request.quote(lease['receipt'], safe='')}/ack", headers, {})
        return time.monotonic() - began


class TranshipExport:
    """Tranship, beside the floors."""

    def __init__(self, orders, service, label):
        self.orders, self.service, self.label, self.name = orders, service, label, service.folder.name
        service.start()

    def write(self):
        before = self.service.costs()
        seconds, lease, occurrence = self.service.export()
        after = self.service.costs()
        if occurrence["records"] != self.orders.rows:
            raise Broken(f"{self.name}: {self.orders.rows} records are in the table: {json.dumps(occurrence)}")
        path = self.service.folder / "package.zip"
        download = self.service.collect(lease, path)
        if os.path.getsize(path) != lease["bytes"]:
            raise Broken(f"{self.name}: {os.path.getsize(path)} bytes arrived of {lease['bytes']}")
        path.unlink()
        return {
            "seconds": seconds,
            "bytes": lease["bytes"],
            "download_seconds": download,
            "cpu_us": (after["cpu_seconds"] - before["cpu_seconds"]) / self.orders.rows * 1e6,
            "fsyncs": sum(after["fsyncs"].values()) - sum(before["fsyncs"].values()),
        }


class Piped:
    """A floor: what prints the table, piped through gzip."""

    def __init__(self, orders, folder, name, label, command):
        self.orders, self.name, self.label, self.command, self.path = orders, name, label, command, folder / f"{name}.csv.gz"

    def write(self):
        began = time.monotonic()
        with open(self.path, "wb") as out:
            reader = subprocess.Popen([str(part) for part in self.command], stdout=subprocess.PIPE)
            packer = subprocess.Popen(["gzip", "-6"], stdin=reader.stdout, stdout=out)
            reader.stdout.close()
            if packer.wait(3600) or reader.wait(60):
                raise Broken(f"{self.name} failed")
        seconds = time.monotonic() - began
        size = os.path.getsize(self.path)
        self.path.unlink()
        return {"seconds": seconds, "bytes": size}


class Dlt:
    """dlt from a table into a packed CSV file, in pieces of 50,000 rows. What counts is its run, not the start of its interpreter."""

    SCRIPT = (
        "import sys, time, dlt\n"
        "from dlt.sources.sql_database import sql_table\n"
        "url, table, target, work = sys.argv[1:]\n"
        "pipeline = dlt.pipeline('race', destination=dlt.destinations.filesystem(target), dataset_name='race', pipelines_dir=work)\n"
        "rows = sql_table(url, table=table, backend='pyarrow', chunk_size=50_000)\n"
        "began = time.monotonic()\n"
        "pipeline.run(rows, loader_file_format='csv', write_disposition='replace')\n"
        "print(time.monotonic() - began, pipeline.last_trace.last_normalize_info.row_counts[table])\n"
    )

    def __init__(self, orders, folder, name, label, url):
        self.orders, self.name, self.label, self.url, self.folder = orders, name, label, url, folder / name
        self.python = python()

    def write(self):
        target = self.folder / "out"
        said = run(
            self.python, "-c", self.SCRIPT, self.url, TABLE, target.as_uri(), self.folder / "pipelines",
            env=dlt_environment(self.folder), timeout=3600,
        )
        seconds, rows = said.split()[-2:]
        if int(rows) != self.orders.rows:
            raise Broken(f"{self.name}: {rows} records of {self.orders.rows}")
        size = sum(file.stat().st_size for file in target.glob(f"race/{TABLE}/*.csv.gz"))
        shutil.rmtree(self.folder)
        return {"seconds": float(seconds), "bytes": size}


class Grid:
    """All contenders of a lane, and those that could not come."""

    def __init__(self, binary, folder, rows, others=(), peers=False):
        self.binary, self.folder, self.others, self.peers = binary, folder, others, peers
        self.orders = Orders(binary, folder, rows)
        self.contenders, self.absent, self.servers = [], {}, []

    def attempt(self, name, make):
        try:
            self.contenders.append(make())
        except (Broken, OSError, sqlite3.Error) as error:
            self.absent[name] = str(error)
            print(f"bench: {name} does not run: {error}")

    def __enter__(self):
        postgres = Postgres(self.folder)
        self.servers.append(postgres)
        postgres.start()
        postgres.create("business")
        self.orders.into_postgres(postgres, "business")
        url = postgres.at("business")
        self.attempt("tranship-postgres", lambda: self.tranship(self.binary, "tranship-postgres", "Tranship on PostgreSQL", postgres, url))
        self.attempt("tranship-sqlite", lambda: self.tranship(self.binary, "tranship-sqlite", "Tranship on SQLite"))
        for at, other in enumerate(self.others, 1):
            self.attempt(f"other-{at}-postgres", lambda: self.tranship(other, f"other-{at}-postgres", f"binary {at}, PostgreSQL", postgres, url))
            self.attempt(f"other-{at}-sqlite", lambda: self.tranship(other, f"other-{at}-sqlite", f"binary {at}, SQLite"))
        copy = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", f"\\copy {TABLE} to stdout csv header"]
        self.attempt("copy-gzip", lambda: Piped(self.orders, self.folder, "copy-gzip", "psql \\copy through gzip -6", copy))
        business = self.folder / "tranship-sqlite" / "data" / "business.db"
        shell = ["sqlite3", "-csv", "-header", business, f"select * from {TABLE}"]
        self.attempt("sqlite-gzip", lambda: Piped(self.orders, self.folder, "sqlite-gzip", "sqlite3 -csv through gzip -6", shell))
        if self.peers:
            self.attempt("dlt-postgres", lambda: Dlt(self.orders, self.folder, "dlt-postgres", "dlt, PostgreSQL", url.replace("postgres://", "postgresql+psycopg2://", 1)))
            self.attempt("dlt-sqlite", lambda: Dlt(self.orders, self.folder, "dlt-sqlite", "dlt, SQLite", f"sqlite:///{business}"))
        return self

    def tranship(self, binary, name, label, postgres=None, database=None):
        store = postgres.create(f"store_{name.replace('-', '_')}") if postgres else None
        service = ExportService(binary, self.folder, name, store, database)
        self.servers.append(service)
        if not postgres:
            service.data.mkdir(exist_ok=True)
            self.orders.into_sqlite(service.data / "business.db")
        return TranshipExport(self.orders, service, label)

    def __exit__(self, *_):
        for server in reversed(self.servers):
            try:
                server.stop()
            except (Broken, OSError) as error:
                print(f"bench: a server did not stop: {error}")


def exports(options, binary):
    """E1: all contenders in turns."""
    note_build(binary)
    result = {}
    for lane in options.lanes:
        with lane_folder(lane) as folder, Grid(binary, folder, options.export_rows, options.against, not options.no_peers) as grid:
            result[lane] = race(grid, options.rounds)
        print(f"{lane:5} {json.dumps({name: one['seconds'] for name, one in result[lane]['contenders'].items()})}", flush=True)
    return result


def note_build(binary):
    """How the binary says it was built; a debug build is not judged."""
    said = run(binary, "bench", "queue", "--json", "--messages", "1", "--clients", "1", "--work", "cycle", timeout=120)
    Tranship.build = json.loads(said).get("build", "unknown")


def race(grid, rounds):
    seen = {}
    for turn in range(rounds + 1):
        order = grid.contenders[turn % len(grid.contenders):] + grid.contenders[: turn % len(grid.contenders)]
        for one in order:
            try:
                figures = one.write()
            except (Broken, OSError, subprocess.SubprocessError) as error:
                grid.absent[one.name] = str(error)
                print(f"bench: {one.name}: {error}", flush=True)
                continue
            # The first turn reads what is not in memory yet, for everybody.
            if turn:
                seen.setdefault(one.name, []).append(figures)
                print(f"  {one.label:30} {figures['seconds']:7.2f} s  {figures['bytes']:,} bytes", flush=True)
    contenders = {}
    for one in grid.contenders:
        if one.name in seen:
            turns = seen[one.name]
            middle = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
            spread = [min(turn["seconds"] for turn in turns), max(turn["seconds"] for turn in turns)]
            contenders[one.name] = {"label": one.label, **middle, "spread": spread}
            if isinstance(one, TranshipExport):
                contenders[one.name]["peak_bytes"] = one.service.peak_bytes()
    return {"rows": grid.orders.rows, "rounds": rounds, "contenders": contenders, "absent": grid.absent}


def large(options, binary):
    """E2: the most memory an export of many rows takes, in a service that did nothing else."""
    note_build(binary)
    lane, result = options.lanes[-1], {}
    with lane_folder(lane) as folder, Grid(binary, folder, options.large_rows or 5_000_000) as grid:
        for one in grid.contenders:
            if isinstance(one, TranshipExport):
                figures = one.write()
                result[one.name.removeprefix("tranship-")] = {"rows": grid.orders.rows, **figures, "peak_bytes": one.service.peak_bytes()}
                print(f"{lane:5} {one.name:20} {json.dumps(result[one.name.removeprefix('tranship-')])}", flush=True)
    return {lane: result}

