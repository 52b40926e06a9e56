"""The bars of the design, section 8: what was measured, what is asked, and whether it is met.

A bar whose peer did not run is not met, and a contender that does not sync is shown, never counted."""

DID_NOT_RUN = "not met: peer did not run"
NOT_MEASURED = "not met: not measured"


def bars(results):
    """Every bar as (id, lane, what, value, goal, verdict)."""
    rows = []
    rows += enqueue_bars(results.get("enqueue", {}))
    rows += race_bars(results.get("queue", {}))
    rows += claim_bars(results.get("claim"))
    rows += [ratio_bar("Q7", lane, "throughput with a transaction held open", one, "ratio", 0.95) for lane, one in lanes(results, "held")]
    rows += status_bars(results.get("status", {}))
    rows += start_bars(results.get("start", {}))
    rows += import_bars(results.get("import", {}))
    rows += large_bars(results.get("large", {}))
    rows += export_bars(results.get("export", {}))
    rows += export_memory_bars(results.get("export-large", {}))
    rows += change_bars(results.get("changes", {}))
    if results.get("build") == "debug":
        rows = [(*row[:5], row[5] if row[0] == "S1" else "not judged: debug build") for row in rows]
    measured = {row[0] for row in rows}
    missing = [(name, "", "", "", "", NOT_MEASURED) for name in ("E1", "E2", "E3", "I1", "I2", "I3", "I4", "I5", "Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "S1") if name not in measured]
    return sorted(rows + missing, key=lambda row: (row[0], row[1]))


def lanes(results, section):
    return results.get(section, {}).items()


def verdict(met):
    return "met" if met else "not met"


def failed(one):
    return f"not met: {one['failed'].splitlines()[-1][:120]}" if one and "failed" in one else None


def ratio_bar(name, lane, what, one, key, least):
    if failed(one):
        return (name, lane, what, "", f"≥ {least}", failed(one))
    return (name, lane, what, f"{one[key]:.2f}", f"≥ {least}", verdict(one[key] >= least))


def enqueue_bars(section):
    rows = []
    for lane, stores in section.items():
        for store, one in stores.items():
            if failed(one):
                rows.append(("Q1", lane, f"fsyncs per enqueue on {store}", "", "≤ 0.05 / 1", failed(one)))
                continue
            for clients, goal in (("64", 0.05), ("1", 1.0)):
                value = one[clients]["fsyncs_log"]
                what = f"fsyncs per enqueue on {store}, {clients} in flight"
                # A checkpoint syncs the log once more: one in some thousand messages.
                rows.append(("Q1", lane, what, f"{value:.4f}", f"≤ {goal}", verdict(value <= goal * 1.005)))
            times = one["64"]
            value = times["p99_us"] / max(times["fsync_p99_us"], 1)
            # An fsync on tmpfs costs nothing, so there is nothing there to be three times of.
            judged = verdict(value <= 3) if lane == "disk" else "shown"
            rows.append(("Q5", lane, f"enqueue p99 against fsync p99, {store}, 64 in flight", f"{value:.2f}", "≤ 3", judged))
            times = one["1"]
            value = times["p99_us"] / max(times["fsync_p99_us"], 1)
            rows.append(("Q5", lane, f"the same, 1 in flight ({store})", f"{value:.2f}", "", "shown"))
    return rows


# Bar, Tranship, peer, least ratio; a least ratio of None is shown, not judged.
RACES = [
    ("Q2", "tranship-postgres", "pgmq", 2.0),
    ("Q3", "tranship-postgres", "rabbitmq", 1.0),
    ("Q3", "tranship-postgres", "rabbitmq-one", 1.0),
    ("Q3", "tranship-sqlite", "rabbitmq", None),
    ("Q4", "tranship-sqlite", "apalis-sqlite", 5.0),
    ("Q4", "tranship-sqlite", "apalis-sqlite-tuned", 5.0),
]


def race_bars(section):
    rows = []
    for lane, result in section.items():
        for name, ours, peer, least in RACES:
            for kind in ("one", "best"):
                rows.append(race_bar(name, lane, result, (ours, peer), kind, least))
    return rows


def race_bar(name, lane, result, pair, kind, least):
    what = f"{pair[0]} against {pair[1]}, {'batch 1' if kind == 'one' else 'best batch of each'}"
    goal = "" if least is None else f"≥ {least:g}x"
    mine, theirs = (result["contenders"].get(one, {}).get(kind) for one in pair)
    absent = result.get("absent", {})
    if pair[1] in absent or not theirs:
        return (name, lane, what, "", goal, DID_NOT_RUN)
    if pair[0] in absent or not mine:
        return (name, lane, what, "", goal, "not met: Tranship did not run")
    ratio = mine["messages_per_second"] / theirs["messages_per_second"]
    if not theirs["syncs"]:
        return (name, lane, what, f"{ratio:.2f}x", goal, "not counted: the peer does not sync")
    if not mine["syncs"]:
        return (name, lane, what, f"{ratio:.2f}x", goal, "not met: Tranship does not sync")
    return (name, lane, what, f"{ratio:.2f}x", goal, "shown" if least is None else verdict(ratio >= least))


def claim_bars(one):
    if not one:
        return []
    lane = one["lane"]
    if failed(one):
        return [("Q6", lane, "buffers of a claim", "", "≤ 5", failed(one))]
    rows = []
    for batch in ("1", "50"):
        fresh, loaded = one["fresh"][batch], one["loaded"][batch]
        if not loaded["claim"] or not fresh["claim"]:
            rows.append(("Q6", lane, f"buffers of a claim of {batch}", "", "≤ 5", "not met: no statement ran once per lease"))
            continue
        beyond = loaded["claim"]["picking"] - loaded["claim"]["rows"]
        rows.append(("Q6", lane, f"buffers to find {batch}, beyond the rows", f"{beyond:g}", "≤ 5", verdict(beyond <= 5)))
        cost = loaded["claim"]["buffers"] / max(fresh["claim"]["buffers"], 1)
        rows.append(("Q6", lane, f"buffers of a claim of {batch} against an empty queue", f"{cost:.2f}x", "≤ 1.2x", verdict(cost <= 1.2)))
        times = loaded["claim"]["milliseconds"] / max(fresh["claim"]["milliseconds"], 0.001)
        rows.append(("Q6", lane, f"time of a claim of {batch} against an empty queue", f"{times:.2f}x", "≤ 1.2x", verdict(times <= 1.2)))
    return rows


def status_bars(section):
    rows = []
    for lane, stores in section.items():
        for store, one in stores.items():
            what = f"status p99 against /health/live, {store}"
            if failed(one):
                rows.append(("Q8", lane, what, "", "≤ 2x", failed(one)))
                continue
            value = one["status"]["p99_us"] / max(one["live"]["p99_us"], 1)
            rows.append(("Q8", lane, f"{what}, {one['messages']:,} messages", f"{value:.2f}x", "≤ 2x", verdict(value <= 2)))
    return rows


def start_bars(section):
    rows = []
    for lane, one in section.items():
        if failed(one):
            rows.append(("S1", lane, "start from an empty directory", "", "≤ 12 fsyncs", failed(one)))
            continue
        rows.append(("S1", lane, "fsyncs from an empty directory to ready", f"{one['fsyncs']}", "≤ 12", verdict(one["fsyncs"] <= 12)))
        rows.append(("S1", lane, "resident memory at rest", f"{one['resident_mib']:.0f} MiB", "≤ 60 MiB", verdict(one["resident_mib"] <= 60)))
        rows.append(("S1", lane, "processor at rest", f"{one['idle_cpu_per_cent']:.2f} %", "< 1 %", verdict(one["idle_cpu_per_cent"] < 1)))
    return rows


# Bar, whose time, which file, against whose, which file, how many times at most. A goal of "at least" so many times faster turns
# the quotient around.
IMPORTS = [
    ("I1", "tranship-sqlite", "clean", "sqlite-import", "clean", 2.0),
    ("I1", "tranship-sqlite", "clean", "sqlite-sql", "clean", 1.3),
    ("I1", "tranship-postgres", "clean", "copy", "clean", 2.0),
    ("I1", "tranship-postgres", "clean", "postgres-sql", "clean", 1.3),
    ("I2", "tranship-sqlite", "bad5", "tranship-sqlite", "clean", 1.25),
    ("I2", "tranship-postgres", "bad5", "tranship-postgres", "clean", 1.25),
    ("I3", "pgloader", "clean", "tranship-postgres", "clean", -2.0),
    ("I3", "pgloader", "bad1", "tranship-postgres", "bad1", -10.0),
    ("I3", "dlt", "clean", "tranship-postgres", "clean", -5.0),
    ("I3", "sqlite-utils", "clean", "tranship-sqlite", "clean", -5.0),
]


def import_bars(section):
    rows = []
    for lane, result in section.items():
        for name, one, kind, other, other_kind, goal in IMPORTS:
            what = f"time of {one} ({kind}) against {other} ({other_kind})"
            asked = f"≤ {goal:g}x" if goal > 0 else f"≥ {-goal:g}x"
            seconds = [result["contenders"].get(who, {}).get("seconds", {}).get(which) for who, which in ((one, kind), (other, other_kind))]
            if None in seconds:
                rows.append((name, lane, what, "", asked, DID_NOT_RUN))
                continue
            ratio = seconds[0] / seconds[1]
            rows.append((name, lane, what, f"{ratio:.2f}x", asked, verdict(ratio <= goal if goal > 0 else ratio >= -goal)))
    return rows


def large_bars(section):
    rows = []
    for lane, stores in section.items():
        for store, one in stores.items():
            size = f"{one['bytes'] / 1e9:.1f} GB, {one['rows']:,} rows"
            peak = one["peak_bytes"] / 2**20
            # The goal is for 5 GB; a smaller file proves less.
            judged = verdict(peak <= 128) if one["bytes"] >= 5e9 or peak > 128 else "shown: the goal is for 5 GB"
            rows.append(("I4", lane, f"peak memory, {store}, {size}", f"{peak:.0f} MiB", "≤ 128 MiB", judged))
            what = f"time per row at {one['rows']:,} against 100,000, by the floor's, {store}"
            judged = verdict(one["growth"] <= 1.3) if one["rows"] >= 10_000_000 or one["growth"] > 1.3 else "shown: the goal is for 10M rows"
            rows.append(("I5", lane, what, f"{one['growth']:.2f}x", "≤ 1.3x", judged))
    return rows


EXPORTS = [("tranship-postgres", "copy-gzip"), ("tranship-sqlite", "sqlite-gzip")]


def export_bars(section):
    rows = []
    for lane, result in section.items():
        for ours, floor in EXPORTS:
            mine, theirs = (result["contenders"].get(who) for who in (ours, floor))
            for what, key, goal in (("time", "seconds", 1.0), ("bytes of the package", "bytes", 1.02)):
                name = f"{what} of {ours} against {floor}, {result['rows']:,} rows"
                if not mine or not theirs:
                    rows.append(("E1", lane, name, "", f"≤ {goal:g}x", DID_NOT_RUN))
                    continue
                ratio = mine[key] / theirs[key]
                rows.append(("E1", lane, name, f"{ratio:.3f}x", f"≤ {goal:g}x", verdict(ratio <= goal)))
    return rows


def export_memory_bars(section):
    rows = []
    for lane, stores in section.items():
        for store, one in stores.items():
            peak = one["peak_bytes"] / 2**20
            # Fewer rows prove less.
            judged = verdict(peak <= 96) if one["rows"] >= 5_000_000 or peak > 96 else "shown: the goal is for 5M rows"
            rows.append(("E2", lane, f"peak memory, {store}, {one['rows']:,} rows", f"{peak:.0f} MiB", "≤ 96 MiB", judged))
    return rows


def change_bars(section):
    rows = []
    for lane, one in section.items():
        goal = 20 * one["changes"] + 200
        small = one["rows"] < 10_000_000
        for what, key in (("the statement that reads them", "buffers"), ("all statements of the run", "buffers_of_all")):
            value = one[key]
            judged = "shown: the goal is for 10M rows" if small and value <= goal else verdict(value <= goal)
            rows.append(("E3", lane, f"buffers for {one['changes']} changes of {one['rows']:,} rows, {what}", f"{value:,}", f"≤ {goal:,}", judged))
        for kind, costs in one["writers"].items():
            rows.append(("E3", lane, f"time of {kind} into a tracked table against one that is not", f"{costs['ratio']:.2f}x", "≤ 1.5x", verdict(costs["ratio"] <= 1.5)))
    return rows
