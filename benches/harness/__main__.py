"""`scripts/bench`: see its --help."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import changes, exports, imports, measures
from .bars import bars
from .machine import LANES, ROOT, Broken, description
from . import peers
from .peers import install
from .race import race
from .report import report
from .servers import Tranship, default_binary

HELP = """\
  queue     the race: Tranship on PostgreSQL and SQLite, pgmq, apalis-sqlite, RabbitMQ (bars Q2, Q3, Q4)
  enqueue   fsyncs and times of an enqueue (Q1, Q5)
  claim     what a claim touches behind a long history (Q6); --small for the short form
  held      throughput with a transaction held open (Q7); --long for ten minutes
  status    status polls beside /health/live (Q8); --small for the short form
  import    sales orders against .import, \\copy, hand-written SQL, pgloader, dlt, sqlite-utils (I1, I2, I3)
  large     memory and time of an import of many rows (I4, I5); --large-rows says how many
  export    sales orders out into a package, against \\copy and sqlite3 piped through gzip -6, and dlt (E1)
  export-large  memory of an export of many rows (E2); --large-rows says how many
  changes   an incremental export of 100 changes of a large table, and what tracking costs its writers (E3)
  start     from an empty directory to ready, and at rest (S1)
  all       all of them
  report    writes what was measured into docs/benchmarks.md and draws the plots; measures nothing
  bars      prints the bars of what was measured; measures nothing

Everything runs on this machine, on loopback, and is stopped and removed in the end. Rates are comparable within a run only."""

# Measurements with peers among the packages.
LOADS = {"import": imports.imports, "large": imports.large, "export": exports.exports, "export-large": exports.large, "changes": changes.changes}


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Races Tranship against its peers and measures its costs.", epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["queue", "enqueue", "claim", "held", "status", "import", "large", "export", "export-large", "changes", "start", "all", "report", "bars"], metavar="WHAT")
    parser.add_argument("--bin", type=Path, help="the tranship binary; otherwise the release build, or the debug build")
    parser.add_argument("--lane", choices=[*LANES, "both"], default="both", help="where everything is stored: never mixed")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of a round that count")
    parser.add_argument("--warm-up", type=int, default=2, help="seconds of a round that do not")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the race")
    parser.add_argument("--small", action="store_true", help="the short form of claim and status")
    parser.add_argument("--long", action="store_true", help="the long form of held: ten minutes each")
    parser.add_argument("--held-seconds", type=int, default=60, help="seconds of a round of held")
    parser.add_argument("--held-rounds", type=int, default=2, help="rounds of held, with and without")
    parser.add_argument("--held-batch", type=int, default=1, help="messages per call of held")
    parser.add_argument("--rows", type=int, default=200_000, help="sales orders of import")
    parser.add_argument("--export-rows", type=int, default=300_000, help="sales orders of export")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another tranship binary that export races too, for changes of the code")
    parser.add_argument("--large-rows", type=int, help="sales orders of large and changes (10,000,000) and of export-large (5,000,000)")
    parser.add_argument("--no-peers", action="store_true", help="import and export without pgloader, dlt and sqlite-utils")
    parser.add_argument("--idle-seconds", type=int, default=20, help="seconds at rest of start")
    parser.add_argument("--results", type=Path, default=ROOT / ".cache" / "bench.json", help="where the figures are kept")
    options = parser.parse_args()
    options.lanes = list(LANES) if options.lane == "both" else [options.lane]
    return options


def measure(what, options, results):
    """One measurement; what it came to is kept at once, so that a later one that breaks takes nothing away."""
    binary = (options.bin or default_binary()).resolve()
    results["machine"] = description()
    if what == "queue":
        found = race(options, binary, install())
    elif what in LOADS:
        # The peers are installed by whoever needs them, as for the race.
        peers.packages()
        found = LOADS[what](options, binary)
    else:
        found = getattr(measures, what)(options, binary)
    if Tranship.build != "unknown":
        results["build"] = Tranship.build
    # A lane that was not asked for keeps what it had.
    if what == "claim":
        results[what] = found
    else:
        results.setdefault(what, {}).update(found)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1) + "\n")


def main():
    options = arguments()
    os.chdir(ROOT)
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    if options.what not in ("report", "bars"):
        every = ["start", "enqueue", "status", "queue", "held", "claim", "import", "large", "export", "export-large", "changes"]
        for what in every if options.what == "all" else [options.what]:
            measure(what, options, results)
    elif not results:
        raise Broken(f"nothing is measured yet: there is no {options.results}")
    rows = report(results) if options.what == "report" else bars(results)
    wide = [max(len(str(row[at])) for row in rows) for at in range(6)]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, wide)).rstrip())


if __name__ == "__main__":
    try:
        main()
    except (Broken, KeyboardInterrupt) as error:
        sys.exit(f"bench: {error}")
