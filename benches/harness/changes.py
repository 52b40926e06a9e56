"""Incremental exports: what reading a few changes of a large table touches, and what tracking costs those who write it (E3).

PostgreSQL counts the buffers itself: `pg_stat_statements` is emptied before a run and read after it. Nothing else is in that
database; the service's own store is SQLite."""

import json
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from .exports import ExportService, Orders, note_build
from .imports import TABLE
from .machine import Broken, lane_folder
from .servers import Postgres

CHANGES = 100
TRACKED, PLAIN = "orders_tracked", "orders_not_tracked"
# Both tables of the job are tracked; the second one is for the writers.
MORE = 'refresh = "incremental"\n\n[[export.entities]]\nentity = "Tracked orders"\nrefresh = "incremental"\n'
BULK_ROWS = 100_000
SINGLE_ROWS = 2_000


def changes(options, binary):
    """E3, in the last lane."""
    note_build(binary)
    lane = options.lanes[-1]
    with lane_folder(lane) as folder:
        rows = options.large_rows or 10_000_000
        orders = Orders(binary, folder, rows)
        postgres = Postgres(folder)
        try:
            postgres.start()
            postgres.create("business")
            orders.into_postgres(postgres, "business")
            orders.path.unlink()
            for table in (TRACKED, PLAIN):
                postgres.sql(f"create table {table} (like {TABLE} including all)", "business")
            service = ExportService(binary, folder, "tranship-changes", None, postgres.at("business"), MORE)
            second_entity(service.folder / "entities")
            try:
                service.start()
                result = {"rows": rows, **touched(service, postgres), "writers": writers(postgres, options.rounds)}
            finally:
                service.stop()
        finally:
            postgres.stop()
    print(f"{lane:5} {json.dumps(result)}", flush=True)
    return {lane: result}


def second_entity(folder):
    """The orders' entity once more, for an empty table of the same shape."""
    text = (folder / "generated-sales-orders.toml").read_text()
    for name, other in (("GeneratedSalesOrders", "TrackedOrders"), ("Generated sales orders", "Tracked orders"), (TABLE, TRACKED)):
        text = text.replace(f'"{name}"', f'"{other}"')
    (folder / "tracked-orders.toml").write_text(text)


def touched(service, postgres):
    """Buffers of one run over a hundred changes: of the statement that reads them, and of all."""
    collect = lambda lease: service.collect(lease, service.folder / "package.zip")
    seconds, lease, occurrence = service.export()
    collect(lease)
    print(f"  everything: {seconds:.1f} s, {occurrence['records']:,} records", flush=True)
    step = f"select 'SO-' || lpad((1 + n * 9973 % (select count(*) from {TABLE}))::text, 8, '0') from generate_series(1, {CHANGES}) n"
    runs = []
    # The first run plans and reads pages into the cache that the others find there.
    for _ in range(3):
        postgres.sql(f"update {TABLE} set line_count = line_count + 1 where order_number in ({step})", "business")
        postgres.sql("select pg_stat_statements_reset()")
        seconds, lease, occurrence = service.export()
        collect(lease)
        if occurrence["records"] != CHANGES:
            raise Broken(f"{CHANGES} rows changed: {json.dumps(occurrence)}")
        runs.append({"seconds": seconds, "statements": statements(postgres)})
    last = runs[-1]
    reading = max((one for one in last["statements"] if TABLE in one["statement"] and "left join" in one["statement"]), key=lambda one: one["buffers"], default=None)
    if reading is None:
        raise Broken(f"no statement read the changes: {json.dumps(last)}")
    everything = sum(one["buffers"] for one in last["statements"])
    return {"changes": CHANGES, "buffers": reading["buffers"], "buffers_of_all": everything, "seconds": last["seconds"], "statements": last["statements"][:12]}


def statements(postgres):
    said = postgres.sql(
        "select json_agg(s) from (select regexp_replace(left(query, 3000), '\\s+', ' ', 'g') as statement, calls, shared_blks_hit + shared_blks_read as buffers "
        "from pg_stat_statements where dbid = (select oid from pg_database where datname = 'business') and query !~ 'pg_stat_statements' order by 3 desc) s"
    )
    return [{**one, "statement": one["statement"][:1200]} for one in json.loads(said) or []]


def pgbench():
    found = shutil.which("pgbench") or next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None)
    if not found:
        raise Broken("pgbench is not installed")
    return found


def writers(postgres, rounds):
    """What a writer pays: the same writes into a tracked and an untracked table of the same shape, in turns."""
    result = {}
    for kind, write in (("bulk insert", bulk_insert), ("bulk update", bulk_update), ("single inserts", single)):
        times = {TRACKED: [], PLAIN: []}
        for turn in range(rounds + 1):
            for table in (TRACKED, PLAIN) if turn % 2 else (PLAIN, TRACKED):
                seconds = write(postgres, table)
                if turn:
                    times[table].append(seconds)
        middle = {table: statistics.median(seconds) for table, seconds in times.items()}
        result[kind] = {"tracked_seconds": middle[TRACKED], "seconds": middle[PLAIN], "ratio": middle[TRACKED] / middle[PLAIN]}
        print(f"  {kind:15} {json.dumps(result[kind])}", flush=True)
    return result


def timed(postgres, statement):
    began = time.monotonic()
    postgres.sql(statement, "business")
    return time.monotonic() - began


def fresh(postgres, table, rows):
    postgres.sql(f"truncate {table}", "business")
    if rows:
        postgres.sql(f"insert into {table} select * from {TABLE} limit {rows}", "business")
    postgres.settle()


def bulk_insert(postgres, table):
    fresh(postgres, table, 0)
    return timed(postgres, f"insert into {table} select * from {TABLE} limit {BULK_ROWS}")


def bulk_update(postgres, table):
    fresh(postgres, table, BULK_ROWS)
    return timed(postgres, f"update {table} set line_count = line_count + 1")


def single(postgres, table):
    """One row a transaction, prepared, one client."""
    fresh(postgres, table, 0)
    script = postgres.folder / f"{table}.sql"
    script.write_text(
        f"insert into {table} (order_number, customer_account, order_date, status, freight) values (gen_random_uuid()::varchar(20), 'C000001', '2026-01-05', 'Open', 12.5);\n"
    )
    command = [pgbench(), "-n", "-M", "prepared", "-c", "1", "-t", str(SINGLE_ROWS), "-f", str(script), postgres.at("business")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    rate = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
    if done.returncode or not rate:
        raise Broken(f"pgbench failed: {done.stderr[-500:]}")
    return SINGLE_ROWS / float(rate.group(1))
