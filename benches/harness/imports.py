"""Imports: generated sales orders over HTTP to `Processed`, against loaders that do less and loaders that try to do the same.

All load the same file into the same table, whose definition `tranship generate set-up --table` prints. Floors (`.import`,
`\\copy`) only copy; the hand-written SQL stages, types, checks references and duplicates, and upserts, in one transaction."""

import csv
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .machine import ROOT, Broken, lane_folder, run, usage
from .servers import CLIENT, Postgres, Tranship

TABLE = "generated_sales_orders"
CUSTOMERS = "generated_customers"
KINDS = {"clean": ("0%", "0%"), "bad1": ("1%", "0%"), "bad5": ("5%", "0.1%")}
REFUSES = {"bad5"}


class Files:
    """The generated files of a size, and the orders' table."""

    def __init__(self, binary, folder, rows):
        self.binary, self.folder, self.rows = binary, folder, rows
        self.made, self.paths = {}, {}
        self.customers = folder / "customers.csv"
        run(binary, "generate", "customers", "--out", self.customers)
        self.customers.chmod(0o644)
        self.ddl = {kind: run(binary, "generate", "set-up", "--table", kind) for kind in ("sqlite", "postgres")}

    def orders(self, kind):
        if kind not in self.paths:
            bad, refused = KINDS[kind]
            path = self.folder / f"orders-{kind}.csv"
            made = run(self.binary, "generate", "sales-orders", "--rows", self.rows, "--bad", bad, "--refused", refused, "--out", path, "--json")
            path.chmod(0o644)
            self.made[kind], self.paths[kind] = json.loads(made), path
        return self.paths[kind]


class ImportService(Tranship):
    """`tranship serve` with the generated set-up, its tables on SQLite or PostgreSQL."""

    def __init__(self, binary, folder, name, store=None, database=None):
        super().__init__(binary, folder, name, store)
        self.database = database
        run(binary, "generate", "set-up", "--dir", self.folder)
        for job in (self.folder / "jobs").glob("generated-*.toml"):
            job.write_text(job.read_text().replace("clients = []", f'clients = ["{CLIENT}"]').replace("sample = true\n", ""))

    def settings(self):
        return super().settings() + (["--set", f"databases.main.url={self.database}"] if self.database else [])

    def token(self):
        form = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={self.secret}&scope={self.url}/.default"
        with urllib.request.urlopen(f"{self.url}/tenant/oauth2/v2.0/token", form.encode(), timeout=30) as answer:
            return json.load(answer)["access_token"]

    def send(self, job, path):
        """Sends a file and waits for its end: seconds, and what became of the records."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        size = path.stat().st_size
        began = time.monotonic()
        with open(path, "rb") as body:
            name = urllib.request.quote(job)
            request = urllib.request.Request(
                f"{self.url}/api/v1/jobs/{name}/messages", body, {**headers, "Content-Length": str(size), "Content-Type": "text/csv"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=3600) as answer:
                message = json.load(answer)
        while not message["final"]:
            look = urllib.request.Request(f"{self.url}/api/v1/messages/{message['id']}?wait_seconds=30", headers=headers)
            try:
                with urllib.request.urlopen(look, timeout=90) as answer:
                    message = json.load(answer)
            except urllib.error.HTTPError as refused:
                if refused.code != 401:
                    raise
                headers = {"Authorization": f"Bearer {self.token()}"}
        return time.monotonic() - began, message

    def peak_bytes(self):
        """The most memory it ever held."""
        status = Path(f"/proc/{self.process.child.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) * 1024


class Contender:
    """Something that loads the orders of a kind: seconds, and rows that are in the table afterwards."""

    name = label = ""
    kinds = ("clean",)
    syncs = True

    def prepare(self, kind):
        """An empty table."""

    def load(self, kind):
        """Seconds."""
        raise NotImplementedError

    def rows(self):
        """What has landed."""
        raise NotImplementedError


class SqliteContender(Contender):
    def __init__(self, files, folder, name):
        self.files, self.name, self.file = files, name, folder / f"{name}.db"

    def prepare(self, kind):
        for end in ("", "-wal", "-shm"):
            Path(f"{self.file}{end}").unlink(missing_ok=True)
        with sqlite3.connect(self.file) as database:
            database.executescript(f"pragma journal_mode = wal; {self.files.ddl['sqlite']}")
            database.execute(f"create table {CUSTOMERS} (customer_account varchar(20) not null primary key, name varchar(100) not null, city text, country text)")
            with open(self.files.customers, newline="", encoding="utf-8") as rows:
                database.executemany(f"insert into {CUSTOMERS} values (?, ?, ?, ?)", list(csv.reader(rows))[1:])
        database.close()

    def shell(self, *commands):
        began = time.monotonic()
        done = subprocess.run(["sqlite3", "-bail", str(self.file), *commands], capture_output=True, text=True, check=False, timeout=3600)
        if done.returncode:
            raise Broken(f"sqlite3 failed: {done.stderr[-500:]}")
        return time.monotonic() - began

    def rows(self):
        with sqlite3.connect(self.file) as database:
            return database.execute(f"select count(*) from {TABLE}").fetchone()[0]


class SqliteImport(SqliteContender):
    label = "sqlite3 .import"

    def load(self, kind):
        return self.shell("pragma synchronous = full", f".import --csv --skip 1 '{self.files.orders(kind)}' {TABLE}")


class SqliteSql(SqliteContender):
    label = "hand-written SQL, SQLite"

    def load(self, kind):
        columns = columns_of(self.files.ddl["sqlite"])
        others = [name for name in columns if name != "order_number"]
        nullable = ", ".join(f"nullif({name}, '')" for name in columns)
        checks = "customer_account in (select customer_account from generated_customers) and length(currency) <= 3 and freight + 0 >= 0"
        return self.shell(
            "pragma synchronous = full",
            f"create table incoming ({', '.join(f'{name} text' for name in columns)})",
            f".import --csv --skip 1 '{self.files.orders(kind)}' incoming",
            f"insert into {TABLE} select {nullable} from incoming where {checks} "
            f"on conflict (order_number) do update set {', '.join(f'{name} = excluded.{name}' for name in others)}",
            "drop table incoming",
        )


class PostgresContender(Contender):
    def __init__(self, files, postgres, name):
        self.files, self.postgres, self.name = files, postgres, name
        self.database = f"peer_{name}".replace("-", "_")
        postgres.create(self.database)
        self.sql(f"create table {CUSTOMERS} (customer_account varchar(20) primary key, name varchar(100) not null, city text, country text)")
        self.psql("-c", f"\\copy {CUSTOMERS} from '{files.customers}' csv header")
        self.sql(files.ddl["postgres"])

    def sql(self, statement):
        return self.postgres.sql(statement, self.database)

    def psql(self, *arguments):
        return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.postgres.at(self.database), *arguments)

    def prepare(self, kind):
        self.sql(f"drop table if exists incoming; truncate {TABLE}")
        self.postgres.settle()

    def rows(self):
        return int(self.sql(f"select count(*) from {TABLE}"))


class PostgresCopy(PostgresContender):
    label = "psql \\copy"

    def load(self, kind):
        path = self.files.orders(kind)
        began = time.monotonic()
        self.psql("-c", f"\\copy {TABLE} from '{path}' csv header")
        return time.monotonic() - began


class PostgresSql(PostgresContender):
    label = "hand-written SQL, PostgreSQL"

    def load(self, kind):
        columns = columns_of(self.files.ddl["postgres"])
        types = dict(re.findall(r"^\s*(\w+) (\w+(?:\([\d,]+\))?)", self.files.ddl["postgres"], re.MULTILINE))
        cast = ", ".join(f"{name}::{types[name]}" for name in columns)
        others = [name for name in columns if name != "order_number"]
        path = self.files.orders(kind)
        began = time.monotonic()
        self.psql(
            "-c", f"create unlogged table incoming ({', '.join(f'{name} text' for name in columns)})",
            "-c", f"\\copy incoming from '{path}' csv header",
            "-c", f"insert into {TABLE} select {cast} from incoming i where exists (select 1 from {CUSTOMERS} c where c.customer_account = i.customer_account) "
            f"on conflict (order_number) do update set {', '.join(f'{name} = excluded.{name}' for name in others)}",
            "-c", "drop table incoming",
        )
        return time.monotonic() - began


class Pgloader(PostgresContender):
    label = "pgloader"
    kinds = ("clean", "bad1")

    def load(self, kind):
        columns = ", ".join(columns_of(self.files.ddl["postgres"]))
        script = self.files.folder / "orders.load"
        script.write_text(
            f"load csv from '{self.files.orders(kind)}' having fields ({columns}) into {self.postgres.at(self.database)} "
            f"target table {TABLE} target columns ({columns}) "
            "with skip header = 1, fields optionally enclosed by '\"', fields escaped by double-quote, fields terminated by ',';\n"
        )
        work = self.files.folder / "pgloader"
        work.mkdir(exist_ok=True)
        began = time.monotonic()
        run("pgloader", "--root-dir", work, script)
        return time.monotonic() - began


class Python(Contender):
    """A loader that is a Python package, run by the interpreter it is installed for."""

    def run(self, script, *arguments):
        began = time.monotonic()
        run(python(), "-c", script, *arguments, env=dlt_environment(self.files.folder))
        return time.monotonic() - began


class SqliteUtils(SqliteContender, Python):
    label = "sqlite-utils upsert"

    def load(self, kind):
        script = (
            "import csv, sys, sqlite_utils\n"
            "db = sqlite_utils.Database(sys.argv[1])\n"
            f"db['{TABLE}'].upsert_all(csv.DictReader(open(sys.argv[2], newline='', encoding='utf-8')), pk='order_number', batch_size=1000)\n"
        )
        return self.run(script, str(self.file), str(self.files.orders(kind)))


class Dlt(PostgresContender, Python):
    label = "dlt merge"

    def load(self, kind):
        script = (
            "import csv, sys, dlt\n"
            "@dlt.resource(name='orders', primary_key='order_number', write_disposition='merge')\n"
            "def orders():\n"
            "    batch = []\n"
            "    for row in csv.DictReader(open(sys.argv[2], newline='', encoding='utf-8')):\n"
            "        batch.append(row)\n"
            "        if len(batch) == 5000:\n"
            "            yield batch\n"
            "            batch = []\n"
            "    yield batch\n"
            "destination = dlt.destinations.postgres(sys.argv[1])\n"
            "pipeline = dlt.pipeline('race', destination=destination, dataset_name='race')\n"
            "pipeline.run(orders())\n"
        )
        return self.run(script, self.postgres.at(self.database), str(self.files.orders(kind)))

    def prepare(self, kind):
        super().prepare(kind)
        shutil.rmtree(self.files.folder / "dlt", ignore_errors=True)
        self.sql("drop schema if exists race cascade; drop schema if exists race_staging cascade")

    def rows(self):
        return int(self.sql("select count(*) from race.orders"))


class TranshipImport(Contender):
    kinds = ("clean", "bad1", "bad5")

    def __init__(self, files, service, label, run_sql, ddl, postgres=None):
        self.files, self.service, self.label, self.name = files, service, label, service.folder.name
        self.run_sql, self.postgres = run_sql, postgres
        run_sql(ddl)
        service.start()
        service.send("Generated customers", files.customers)

    def prepare(self, kind):
        self.run_sql(f"delete from {TABLE}" if not self.postgres else f"truncate {TABLE}")
        if self.postgres:
            self.postgres.settle()

    def load(self, kind):
        before = self.service.costs()
        seconds, message = self.service.send("Generated sales orders", self.files.orders(kind))
        after = self.service.costs()
        made, records = self.files.made[kind], message["records"]
        bad = made["types"] + made["lengths"] + made["references"] + made["duplicates"] + made["refused"]
        if (records["read"], records["applied"], records["rejected"]) != (made["rows"], made["rows"] - bad, bad):
            raise Broken(f"{self.name}: {json.dumps(records)} of {json.dumps(made)}; {json.dumps(message.get('failure'))}")
        self.cost = {
            "cpu_us": (after["cpu_seconds"] - before["cpu_seconds"]) / made["rows"] * 1e6,
            "fsyncs": sum(after["fsyncs"].values()) - sum(before["fsyncs"].values()),
        }
        return seconds

    def rows(self):
        return int(self.run_sql(f"select count(*) from {TABLE}"))


def columns_of(ddl):
    return re.findall(r"^\s+(\w+) ", ddl, re.MULTILINE)


# dlt reads a database with sqlalchemy, fastest by way of pyarrow.
PYTHON_PACKAGES = ["dlt[postgres]", "sqlalchemy", "pyarrow", "numpy", "sqlite-utils"]


def python():
    """An interpreter with the peers' packages; made once, outside of the checkout's sources."""
    home = ROOT / "target" / "bench-python"
    binary, ready = home / "bin" / "python", home / "ready"
    wanted = "\n".join(PYTHON_PACKAGES)
    if not ready.exists() or ready.read_text() != wanted:
        run(sys.executable, "-m", "venv", home)
        run(binary, "-m", "pip", "install", "-q", *PYTHON_PACKAGES)
        ready.write_text(wanted)
    return binary


def dlt_environment(folder):
    """dlt keeps its state under `folder`, and tells nobody what it does."""
    return {**os.environ, "DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}


def sqlite_sql(service):
    """Statements on a service's own SQLite database, beside it."""

    def execute(statement):
        service.data.mkdir(exist_ok=True)
        database = sqlite3.connect(service.data / "business.db", timeout=60)
        with database:
            database.execute("pragma journal_mode = wal")
            row = database.execute(statement).fetchone()
        database.close()
        return row[0] if row else 0

    return execute


class Grid:
    """All contenders of a lane, and those that could not come."""

    def __init__(self, binary, folder, rows, peers):
        self.binary, self.folder, self.peers = binary, folder, peers
        self.files = Files(binary, folder, rows)
        self.contenders, self.absent, self.servers = [], {}, []

    def attempt(self, name, make):
        try:
            self.contenders.append(make())
        except (Broken, OSError, sqlite3.Error) as error:
            self.absent[name] = str(error)
            print(f"bench: {name} does not run: {error}")

    def __enter__(self):
        files, folder = self.files, self.folder
        postgres = Postgres(folder)
        self.servers.append(postgres)
        postgres.start()
        self.attempt("tranship-sqlite", self.on_sqlite)
        self.attempt("tranship-postgres", lambda: self.on_postgres(postgres))
        self.attempt("sqlite-import", lambda: SqliteImport(files, folder, "sqlite-import"))
        self.attempt("sqlite-sql", lambda: SqliteSql(files, folder, "sqlite-sql"))
        self.attempt("copy", lambda: PostgresCopy(files, postgres, "copy"))
        self.attempt("postgres-sql", lambda: PostgresSql(files, postgres, "postgres-sql"))
        if self.peers:
            self.attempt("pgloader", lambda: Pgloader(files, postgres, "pgloader"))
            self.attempt("dlt", lambda: Dlt(files, postgres, "dlt"))
            self.attempt("sqlite-utils", lambda: SqliteUtils(files, folder, "sqlite-utils"))
        return self

    def on_sqlite(self):
        service = ImportService(self.binary, self.folder, "tranship-sqlite")
        self.servers.append(service)
        return TranshipImport(self.files, service, "Tranship on SQLite", sqlite_sql(service), self.files.ddl["sqlite"])

    def on_postgres(self, postgres):
        database = postgres.create("business")
        service = ImportService(self.binary, self.folder, "tranship-postgres", postgres.create("service"), database)
        self.servers.append(service)
        execute = lambda statement: postgres.sql(statement, "business")
        return TranshipImport(self.files, service, "Tranship on PostgreSQL", execute, self.files.ddl["postgres"], postgres)

    def __exit__(self, *_):
        for server in reversed(self.servers):
            try:
                server.stop()
            except (Broken, OSError) as error:
                print(f"bench: a server did not stop: {error}")


def imports(options, binary):
    """I1, I2, I3: all contenders in turns, each kind of file."""
    result = {}
    for lane in options.lanes:
        with lane_folder(lane) as folder, Grid(binary, folder, options.rows, not options.no_peers) as grid:
            result[lane] = race(grid, options)
        print(f"{lane:5} {json.dumps({name: one['seconds'] for name, one in result[lane]['contenders'].items()})}", flush=True)
    return result


def race(grid, options):
    times, costs = {}, {}
    for turn in range(options.rounds):
        order = grid.contenders[turn % len(grid.contenders):] + grid.contenders[: turn % len(grid.contenders)]
        for one in order:
            for kind in one.kinds:
                # The slow ones are not made slower by being asked often.
                if turn and one.name in ("dlt", "sqlite-utils", "pgloader") and turn >= 2:
                    continue
                try:
                    grid.files.orders(kind)
                    one.prepare(kind)
                    seconds = one.load(kind)
                except (Broken, OSError, sqlite3.Error, subprocess.SubprocessError) as error:
                    grid.absent[f"{one.name} {kind}"] = str(error)
                    print(f"bench: {one.name} {kind}: {error}", flush=True)
                    continue
                landed = one.rows()
                times.setdefault(one.name, {}).setdefault(kind, []).append(seconds)
                costs.setdefault(one.name, {})[kind] = {"rows": landed, **getattr(one, "cost", {})}
                print(f"  {one.label:30} {kind:6} {seconds:7.2f} s  {landed:,} rows", flush=True)
    contenders = {}
    for one in grid.contenders:
        if one.name in times:
            contenders[one.name] = {
                "label": one.label,
                "seconds": {kind: statistics.median(seconds) for kind, seconds in times[one.name].items()},
                "spread": {kind: [min(seconds), max(seconds)] for kind, seconds in times[one.name].items()},
                "costs": costs[one.name],
            }
    return {"rows": grid.files.rows, "rounds": options.rounds, "contenders": contenders, "absent": grid.absent}


def large(options, binary):
    """I4 and I5: the most memory an import of many gigabytes takes, and what a row of it costs against one of a small file."""
    result = {}
    lane, most = options.lanes[-1], options.large_rows or 10_000_000
    for store in ("sqlite", "postgres"):
        seconds = {}
        for rows in (100_000, most):
            with lane_folder(lane) as folder, Grid(binary, folder, rows, False) as grid:
                ours = next(one for one in grid.contenders if one.name == f"tranship-{store}")
                floor = next(one for one in grid.contenders if one.name == ("sqlite-import" if store == "sqlite" else "copy"))
                path = grid.files.orders("clean")
                for one in (floor, ours):
                    one.prepare("clean")
                    seconds.setdefault(one is ours, {})[rows] = one.load("clean")
                result[store] = {"bytes": path.stat().st_size, "rows": rows, "peak_bytes": ours.service.peak_bytes()}
        ratio = lambda whose: (seconds[whose][most] / most) / (seconds[whose][100_000] / 100_000)
        result[store].update({"seconds": seconds[True], "floor_seconds": seconds[False], "growth": ratio(True) / ratio(False)})
        print(f"{lane:5} {store:8} {json.dumps(result[store])}", flush=True)
    return {lane: result}
