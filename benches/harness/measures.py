"""What is measured without a peer: the costs of an enqueue, a claim behind a long history, a transaction held open, status
polls, and a start from nothing."""

import json
import statistics
import time
from contextlib import contextmanager

from .machine import Broken, answers, lane_folder, usage
from .plans import claim_cost
from .servers import Postgres, Tranship

STORES = ("sqlite", "postgres")


@contextmanager
def service(binary, folder, store):
    """Tranship on one of its stores, with its PostgreSQL where it has one."""
    postgres = None
    try:
        if store == "postgres":
            postgres = Postgres(folder)
            postgres.start()
        one = Tranship(binary, folder, f"tranship-{store}", postgres.create("tranship") if postgres else None)
        try:
            yield one.start(), postgres
        finally:
            one.stop()
    finally:
        if postgres:
            postgres.stop()


def each_store(options, binary, measure):
    """The same measurement on both stores in every lane; one that fails is shown as failed."""
    result = {}
    for lane in options.lanes:
        for store in STORES:
            with lane_folder(lane) as folder:
                try:
                    with service(binary, folder, store) as (one, postgres):
                        result.setdefault(lane, {})[store] = measure(one, postgres)
                except Broken as error:
                    result.setdefault(lane, {})[store] = {"failed": str(error)}
            print(f"{lane:5} {store:8} {json.dumps(result[lane][store])[:240]}", flush=True)
    return result


def enqueue(options, binary):
    """Q1 and Q5: fsyncs for an enqueue with 64 and with 1 in flight, and its p99 beside that of an fsync."""

    def measure(one, postgres):
        result = {}
        for clients, messages in ((64, 2000 * options.seconds), (1, 100 * options.seconds)):
            # The first calls make connections and prepare statements, which is nobody's enqueue.
            one.load("--work", "fill", "--clients", clients, "--messages", 200)
            server = postgres or one
            before = server.costs()["fsyncs"]
            figures = one.load("--work", "fill", "--clients", clients, "--messages", messages)
            after = server.costs()["fsyncs"]
            fsyncs = {kind: (after[kind] - before[kind]) / messages for kind in ("log", "other")}
            times = figures["runs"][0]["operations"]["enqueue"]
            result[str(clients)] = {
                "fsyncs_log": fsyncs["log"],
                "fsyncs_other": fsyncs["other"],
                "messages_per_second": figures["runs"][0]["messages_per_second"],
                "p50_us": times["p50_us"],
                "p99_us": times["p99_us"],
                "fsync_p50_us": figures["disk"]["during"]["p50_us"],
                "fsync_p99_us": figures["disk"]["during"]["p99_us"],
            }
        return result

    return each_store(options, binary, measure)


def status(options, binary):
    """Q8: status polls beside /health/live, with many messages in the store."""
    messages = 20_000 if options.small else 1_000_000

    def measure(one, _postgres):
        figures = one.load(
            "--work", "fill,status,live,status,live", "--messages", messages, "--batch", 500, "--seconds", options.seconds
        )
        runs = {}
        for run in figures["runs"]:
            runs.setdefault(run["work"], []).append(run)
        middle = {
            work: {
                "messages_per_second": statistics.median(run["messages_per_second"] for run in runs[work]),
                "p50_us": statistics.median(run["operations"][work]["p50_us"] for run in runs[work]),
                "p99_us": statistics.median(run["operations"][work]["p99_us"] for run in runs[work]),
            }
            for work in ("status", "live")
        }
        return {"messages": messages, "filled_per_second": runs["fill"][0]["messages_per_second"], **middle}

    return each_store(options, binary, measure)


def held(options, binary):
    """Q7: throughput with a transaction left open, in turns with throughput without one."""
    seconds = 600 if options.long else options.held_seconds
    result = {}
    for lane in options.lanes:
        with lane_folder(lane) as folder:
            try:
                with service(binary, folder, "postgres") as (one, postgres):
                    result[lane] = held_rounds(one, postgres, seconds, options)
            except Broken as error:
                result[lane] = {"failed": str(error)}
        print(f"{lane:5} {json.dumps(result[lane])[:240]}", flush=True)
    return result


def held_rounds(one, postgres, seconds, options):
    load = ("--work", "cycle", "--seconds", seconds, "--warm-up-seconds", options.warm_up, "--batch", options.held_batch)
    rates = {"free": [], "held": []}
    for _ in range(options.held_rounds):
        rates["free"].append(one.load(*load)["runs"][0]["messages_per_second"])
        with postgres.hold_transaction("tranship"):
            rates["held"].append(one.load(*load)["runs"][0]["messages_per_second"])
    middle = {kind: statistics.median(values) for kind, values in rates.items()}
    return {"seconds": seconds, "batch": options.held_batch, **middle, "ratio": middle["held"] / middle["free"], "rounds": rates}


def claim(options, binary):
    """Q6: what a claim touches behind a long history with a transaction held open, and on an empty queue."""
    sizes = {"leased": 4_000, "waiting": 20_000, "cycles": 20_000} if options.small else {
        "leased": 200_000, "waiting": 1_000_000, "cycles": 1_000_000
    }
    lane = options.lanes[-1]
    with lane_folder(lane) as folder:
        try:
            with service(binary, folder, "postgres") as (one, postgres):
                bulk = ("--batch", 500, "--clients", 16)
                # The plans of an empty table are not those of a full one: both are measured after `analyze`.
                one.load("--work", "fill", "--messages", 300, "--batch", 100)
                postgres.sql("analyze", "tranship")
                fresh = claims(one, postgres)
                one.load("--work", "fill", "--messages", sizes["leased"] + sizes["waiting"], *bulk)
                one.load("--work", "hold", "--messages", sizes["leased"], *bulk)
                postgres.sql("vacuum analyze", "tranship")
                with postgres.hold_transaction("tranship"):
                    one.load("--work", "cycle", "--messages", sizes["cycles"], *bulk)
                    loaded = claims(one, postgres)
                result = {"lane": lane, **sizes, "fresh": fresh, "loaded": loaded}
        except Broken as error:
            result = {"lane": lane, **sizes, "failed": str(error)}
    print(json.dumps(result, indent=1)[:2000], flush=True)
    return result


def claims(one, postgres):
    """The plans of claims of one and of fifty messages, as the server logs them."""
    result = {}
    for batch, claims_made in ((1, 40), (50, 4)):
        log = postgres.folder / "server.log"
        postgres.sql("alter system set auto_explain.log_min_duration = 0")
        postgres.sql("select pg_reload_conf()")
        time.sleep(0.5)
        start = log.stat().st_size
        load = ("--work", "hold", "--clients", 1, "--batch", batch, "--messages", batch * claims_made)
        figures = one.load(*load)["runs"][0]
        time.sleep(0.5)
        text = log.read_bytes()[start:].decode(errors="replace")
        postgres.sql("alter system set auto_explain.log_min_duration = -1")
        postgres.sql("select pg_reload_conf()")
        times = figures["operations"]["lease"]
        result[str(batch)] = {**claim_cost(text, claims_made), "lease_p50_us": times["p50_us"], "lease_p99_us": times["p99_us"]}
    return result


def start(options, binary):
    """S1: from an empty directory to ready, and at rest."""
    result = {}
    for lane in options.lanes:
        with lane_folder(lane) as folder:
            one = Tranship(binary, folder, "tranship-start")
            # No client: the directory is empty.
            one.secret = ""
            begun = time.monotonic()
            try:
                one.start()
                ready_seconds = time.monotonic() - begun
                fsyncs = one.counter.read()
                time.sleep(2)
                before = usage(one.process.child.pid)
                time.sleep(options.idle_seconds)
                after = usage(one.process.child.pid)
                result[lane] = {
                    "fsyncs": fsyncs["log"] + fsyncs["other"],
                    "ready_seconds": ready_seconds,
                    "idle_fsyncs": sum(one.counter.read().values()) - sum(fsyncs.values()),
                    "idle_seconds": options.idle_seconds,
                    "idle_cpu_per_cent": 100 * (after["cpu_seconds"] - before["cpu_seconds"]) / options.idle_seconds,
                    "resident_mib": after["resident_bytes"] / 2**20,
                    "alive": answers(f"{one.url}/health/live"),
                }
            except Broken as error:
                result[lane] = {"failed": str(error)}
            finally:
                one.stop()
        print(f"{lane:5} {json.dumps(result[lane])}", flush=True)
    return result
