"""Writes the figures into docs/benchmarks.md, between its markers, and draws the plots."""

import json
import re

from .bars import bars
from .machine import ROOT, Broken

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
IMPORT_KINDS = {"clean": "all good", "bad1": "1 % bad", "bad5": "5 % bad, 0.1 % refused by the table"}


def report(results):
    """Fills the page; returns the bars."""
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / "results.json").write_text(placeless(json.dumps(slim(results), indent=1, sort_keys=True)) + "\n")
    page = PAGE.read_text()
    for name, text in sections(results).items():
        pattern = re.compile(f"(<!-- bench:{name} -->\n).*?(<!-- bench:end -->)", re.DOTALL)
        if not pattern.search(page):
            raise Broken(f"{PAGE.name} has no place for `{name}`: <!-- bench:{name} --> and <!-- bench:end -->")
        page = pattern.sub(lambda found, text=text: found.group(1) + text + "\n" + found.group(2), page)
    PAGE.write_text(placeless(page))
    return bars(results)


def placeless(text):
    """Without the folders of this machine, which failures name."""
    return re.sub(r"/[^\s\"|]*tranship-bench\.[^/\s\"|]+", "FOLDER", text)


def slim(results):
    """Without the single rounds, which are many."""
    queue = {lane: {key: value for key, value in one.items() if key != "all_rounds"} for lane, one in results.get("queue", {}).items()}
    return {**results, "queue": queue} if queue else results


def sections(results):
    machine = results["machine"]
    return {
        "machine": f"{machine['cores']} cores, {machine['memory_gib']} GiB of memory, Linux {machine['kernel']} on {machine['architecture']}, {machine['date']}; "
        f"binary: {results.get('build', 'unknown')} build.\n",
        "bars": table(["", "lane", "what", "measured", "goal", ""], bars(results)),
        "queue": "\n".join(race_text(lane, one) for lane, one in results.get("queue", {}).items()) or "Not measured yet.\n",
        "costs": "\n".join(costs_text(lane, one) for lane, one in results.get("queue", {}).items()) or "Not measured yet.\n",
        "enqueue": enqueue_text(results.get("enqueue", {})),
        "claim": claim_text(results.get("claim")),
        "exports": "\n".join(exports_text(lane, one) for lane, one in results.get("export", {}).items()) or "Not measured yet.\n",
        "changes": "\n".join(changes_text(lane, one) for lane, one in results.get("changes", {}).items()) or "Not measured yet.\n",
        "imports": "\n".join(imports_text(lane, one) for lane, one in results.get("import", {}).items()) or "Not measured yet.\n",
    }


def table(heading, rows):
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def race_text(lane, result):
    rows, drawn = [], []
    for name, one in result["contenders"].items():
        for kind in ("one", "best"):
            middle = one[kind]
            if not middle:
                continue
            times = middle["operations"]
            cell = lambda key: f"{times[key]['p50_us'] / 1000:.1f} / {times[key]['p99_us'] / 1000:.1f}" if key in times else ""
            rate = f"{middle['messages_per_second']:,.0f}"
            spread = f"{middle['spread'][0]:,.0f} – {middle['spread'][1]:,.0f}"
            label = one["label"] + ("" if middle["syncs"] else " (does not sync: not counted)")
            rows.append([label, middle["batch"], rate, spread, cell("enqueue"), cell("lease"), cell("ack"), f"{middle['fsync_p50_us'] / 1000:.2f} / {middle['fsync_p99_us'] / 1000:.2f}"])
            drawn.append((f"{one['label']}, batch {middle['batch']}", middle["messages_per_second"], name.startswith("tranship")))
    absent = "".join(f"\n{name} did not run: {why.splitlines()[0][:160]}\n" for name, why in result.get("absent", {}).items())
    (PLOTS / f"queue-{lane}.svg").write_text(plot(f"Messages per second, {lane}", drawn))
    heading = ["contender", "batch", "messages/s", "lowest – highest", "enqueue p50 / p99 ms", "lease", "ack", "fsync p50 / p99 ms"]
    text = f"**{lane}** ({result['file_system']}), {result['rounds']} rounds of {result['seconds']} s\n\n"
    return f"{text}{table(heading, rows)}{absent}\n![Messages per second, {lane}](benchmarks/queue-{lane}.svg)\n"


def costs_text(lane, result):
    rows = []
    number = lambda costs, key, form: form.format(costs[key]) if key in costs else "–"
    for one in result["contenders"].values():
        for kind in ("one", "best"):
            middle = one[kind]
            if middle:
                costs = middle["costs"]
                rows.append([
                    one["label"], middle["batch"], number(costs, "fsyncs_log", "{:.4f}"), number(costs, "fsyncs_other", "{:.4f}"),
                    number(costs, "statements", "{:.2f}"), number(costs, "wal_bytes", "{:,.0f}"),
                    number(costs, "written_bytes", "{:,.0f}") if lane == "disk" else "–", number(costs, "cpu_us", "{:,.0f}"),
                    number(costs, "generator_cpu_us", "{:,.0f}"),
                ])
    heading = ["contender", "batch", "fsyncs of logs", "other fsyncs", "statements", "WAL bytes", "bytes to disk", "server µs of CPU", "generator µs of CPU"]
    return f"**{lane}**, for each acknowledged message\n\n{table(heading, rows)}"


def enqueue_text(section):
    rows = []
    for lane, stores in section.items():
        for store, one in stores.items():
            for clients in ("64", "1"):
                if clients in one:
                    this = one[clients]
                    times = [f"{this[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "fsync_p50_us", "fsync_p99_us")]
                    rows.append([lane, store, clients, f"{this['messages_per_second']:,.0f}", f"{this['fsyncs_log']:.4f}", f"{this['fsyncs_other']:.4f}", *times])
    heading = ["lane", "store", "in flight", "messages/s", "fsyncs of the log", "other fsyncs", "p50 ms", "p99 ms", "fsync p50 ms", "fsync p99 ms"]
    return table(heading, rows) if rows else "Not measured yet.\n"


def claim_text(one):
    if not one or "failed" in one:
        return "Not measured yet.\n"
    rows = []
    for when, label in (("fresh", "empty queue"), ("loaded", "long history, transaction open")):
        for batch, this in one[when].items():
            main = this["claim"]
            if main:
                rows.append([label, batch, f"{main['picking']:g}", f"{main['buffers']:g}", f"{this['buffers']:g}", f"{main['milliseconds']:.2f}", f"{this['lease_p50_us'] / 1000:.2f}"])
    heading = ["", "rows", "buffers to find them", "buffers of the statement", "of all statements", "ms", "lease over HTTP, p50 ms"]
    state = f"{one['leased']:,} leased, {one['waiting']:,} waiting, {one['cycles']:,} cycles before\n\n"
    return state + table(heading, rows)


def imports_text(lane, result):
    rows = []
    for one in result["contenders"].values():
        for kind, seconds in one["seconds"].items():
            costs, spread = one["costs"][kind], one["spread"][kind]
            rows.append([
                one["label"], IMPORT_KINDS[kind], f"{seconds:.2f}", f"{spread[0]:.2f} – {spread[1]:.2f}", f"{result['rows'] / seconds:,.0f}", f"{costs['rows']:,}",
                f"{costs['cpu_us']:.1f}" if "cpu_us" in costs else "–", f"{costs['fsyncs']}" if "fsyncs" in costs else "–",
            ])
    absent = "".join(f"\n{name} did not run: {why.splitlines()[0][:160]}\n" for name, why in result.get("absent", {}).items())
    heading = ["loader", "records", "seconds", "shortest – longest", "records/s", "rows in the table", "µs of its CPU a record", "its fsyncs"]
    return f"**{lane}**, {result['rows']:,} sales orders of 20 columns, {result['rounds']} rounds\n\n{table(heading, rows)}{absent}"


def exports_text(lane, result):
    rows = []
    for one in result["contenders"].values():
        ours = "fsyncs" in one
        rows.append([
            one["label"], f"{one['seconds']:.2f}", f"{one['spread'][0]:.2f} – {one['spread'][1]:.2f}", f"{result['rows'] / one['seconds']:,.0f}", f"{one['bytes']:,.0f}",
            f"{one['cpu_us']:.1f}" if ours else "–", f"{one['fsyncs']:.0f}" if ours else "–", f"{one['peak_bytes'] / 2**20:.0f}" if ours else "–",
        ])
    absent = "".join(f"\n{name} did not run: {why.splitlines()[0][:160]}\n" for name, why in result.get("absent", {}).items())
    heading = ["exporter", "seconds", "shortest – longest", "records/s", "bytes", "µs of its CPU a record", "its fsyncs", "peak MiB"]
    return f"**{lane}**, {result['rows']:,} sales orders of 20 columns, {result['rounds']} rounds\n\n{table(heading, rows)}{absent}"


def changes_text(lane, one):
    statements = [[f"`{each['statement'][:100].replace('|', '/')} …`", each["calls"], f"{each['buffers']:,}"] for each in one["statements"][:8]]
    writers = [[kind, f"{costs['tracked_seconds']:.2f}", f"{costs['seconds']:.2f}", f"{costs['ratio']:.2f}x"] for kind, costs in one["writers"].items()]
    text = f"**{lane}**, {one['changes']} changes of {one['rows']:,} rows, {one['seconds']:.2f} s\n\n"
    return text + table(["statement", "calls", "buffers"], statements) + "\n" + table(["writes", "s tracked", "s not tracked", "ratio"], writers)


def plot(title, values):
    """Bars from the left, longest on top; colours that work on light and dark pages."""
    values = sorted(values, key=lambda value: -value[1])
    most = max((value for _, value, _ in values), default=1) or 1
    height = 40 + 26 * len(values)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="13" role="img" aria-label="{title}">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="22" font-weight="bold" fill="#222222">{title}</text>',
    ]
    for at, (label, value, ours) in enumerate(values):
        top = 36 + 26 * at
        width = max(1, round(400 * value / most))
        lines.append(f'<text x="328" y="{top + 14}" text-anchor="end" fill="#222222">{label}</text>')
        lines.append(f'<rect x="336" y="{top}" width="{width}" height="18" fill="{"#1f6f8b" if ours else "#b9c2c8"}"/>')
        lines.append(f'<text x="{342 + width}" y="{top + 14}" fill="#222222">{value:,.0f}</text>')
    return "\n".join(lines) + "\n</svg>\n"
