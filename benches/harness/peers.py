"""The contenders of the race, and how they get onto the machine."""

import json
import os
import resource
import shutil
from pathlib import Path

from .machine import ROOT, Broken, Counter, run
from .servers import Postgres, RabbitMq, Tranship

# What the bench needs of Debian: a command or a file that shows it, and the package that has it.
PACKAGES = [
    ("gcc", "gcc"),
    ("psql", "postgresql-client"),
    ("/usr/lib/postgresql/*/bin/initdb", "postgresql"),
    ("sqlite3", "sqlite3"),
    ("pgloader", "pgloader"),
    ("/usr/lib/rabbitmq/lib/rabbitmq_server-*", "rabbitmq-server"),
]


def packages():
    """Installs what is missing from Debian."""
    missing = [package for sign, package in PACKAGES if not present(sign)]
    if missing and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        try:
            run("apt-get", "update", "-qq", env=environment)
            run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=environment)
        except Broken as error:
            # A peer that is not there is a bar that is not met; the others still run.
            print(f"bench: {error}")


def install():
    """Installs what is missing: servers from Debian, client libraries with the package `benches/race`. Returns its binary."""
    packages()
    manifest = ROOT / "benches" / "race" / "Cargo.toml"
    target = Path(os.environ.get("TRANSHIP_BENCH_TARGET", ROOT / "target" / "race"))
    run("cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target, timeout=3600)
    return target / "release" / "race"


def present(sign):
    if sign.startswith("/"):
        return any(Path("/").glob(sign[1:]))
    return shutil.which(sign) is not None


class Contender:
    """Something that can be loaded. Subclasses say how, and what their servers' costs are read from."""

    name = ""
    label = ""

    def round(self, batch, seconds, warm_up):
        """One round: the generator's figures, with the costs of everything that was acknowledged."""
        before = self.costs()
        generator = generator_seconds()
        figures = self.load(batch, seconds, warm_up)
        generator = generator_seconds() - generator
        after = self.costs()
        figures["costs"] = per_message(before, after, figures["messages_total"])
        figures["costs"]["generator_cpu_us"] = generator / max(figures["messages_total"], 1) * 1e6
        figures["syncs"] = syncs(before, after, figures)
        return figures


class TranshipContender(Contender):
    def __init__(self, name, label, service, postgres=None):
        self.name, self.label, self.service, self.postgres = name, label, service, postgres

    def load(self, batch, seconds, warm_up, clients=64):
        arguments = ["--work", "cycle", "--clients", clients, "--batch", batch, "--seconds", seconds]
        figures = self.service.load(*arguments, "--warm-up-seconds", warm_up)
        return {"contender": self.name, "disk": figures["disk"], **figures["runs"][0]}

    def costs(self):
        return added(self.service.costs(), self.postgres.costs()) if self.postgres else self.service.costs()

    def settle(self):
        if self.postgres:
            self.postgres.settle()


class RaceContender(Contender):
    """A peer, loaded by `benches/race`."""

    def __init__(self, name, label, binary, arguments, server):
        self.name, self.label, self.binary, self.arguments, self.server = name, label, binary, arguments, server

    def environment(self):
        return None

    def load(self, batch, seconds, warm_up, clients=64):
        flags = ["--clients", clients, "--batch", batch, "--seconds", seconds, "--warm-up-seconds", warm_up]
        return json.loads(run(self.binary, *self.arguments, *flags, env=self.environment()))

    def costs(self):
        return self.server.costs()

    def settle(self):
        if isinstance(self.server, Postgres):
            self.server.settle()


class Embedded(RaceContender):
    """A peer that runs inside the generator: its processor time cannot be told from the generator's."""

    def __init__(self, name, label, binary, arguments, folder):
        super().__init__(name, label, binary, arguments, None)
        self.counter = Counter(folder, name)

    def environment(self):
        return {**os.environ, **self.counter.environment()}

    def costs(self):
        return {"fsyncs": self.counter.read()}


def generator_seconds():
    """Processor seconds of the generators that ran and ended here."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def added(one, other):
    """The costs of two servers together."""
    total = dict(one)
    for key, value in other.items():
        if key == "fsyncs":
            total[key] = {kind: value[kind] + one[key][kind] for kind in value}
        else:
            total[key] = value + one.get(key, 0)
    return total


def per_message(before, after, messages):
    """What one acknowledged message cost."""
    messages = max(messages, 1)
    costs = {
        "fsyncs_log": (after["fsyncs"]["log"] - before["fsyncs"]["log"]) / messages,
        "fsyncs_other": (after["fsyncs"]["other"] - before["fsyncs"]["other"]) / messages,
    }
    costs["fsyncs"] = costs["fsyncs_log"] + costs["fsyncs_other"]
    for key in ("wal_syncs", "wal_bytes", "statements", "written_bytes"):
        if key in after:
            costs[key] = (after[key] - before[key]) / messages
    if "cpu_seconds" in after:
        costs["cpu_us"] = (after["cpu_seconds"] - before["cpu_seconds"]) / messages * 1e6
    return costs


def syncs(before, after, figures):
    """Whether it made what it acknowledged durable: one fsync can cover no more messages than are in flight at once."""
    fsyncs = sum(after["fsyncs"][kind] - before["fsyncs"][kind] for kind in ("log", "other"))
    return fsyncs * figures["clients"] * figures["batch"] >= figures["messages_total"]


class Field:
    """All contenders of one lane with their servers, and those that could not come."""

    def __init__(self, binary, race, folder):
        self.binary, self.race, self.folder = binary, race, folder
        self.contenders, self.absent, self.servers = [], {}, []

    def __enter__(self):
        self.attempt("tranship-postgres", self.enter_postgres)
        self.attempt("tranship-sqlite", self.enter_sqlite)
        self.attempt("apalis-sqlite", self.enter_apalis)
        self.attempt("rabbitmq", self.enter_rabbitmq)
        return self

    def attempt(self, name, enter):
        try:
            enter()
        except (Broken, OSError, AttributeError) as error:
            self.absent[name] = str(error)
            print(f"bench: {name} does not run: {error}")

    def up(self, server):
        self.servers.append(server)
        return server.start()

    def enter_postgres(self):
        postgres = self.up(Postgres(self.folder))
        url = postgres.create("pgmq")
        self.contenders.append(RaceContender("pgmq", "pgmq (SQL)", self.race, ["pgmq", "--url", url], postgres))
        service = self.up(Tranship(self.binary, self.folder, "tranship-postgres", postgres.create("tranship")))
        self.contenders.append(TranshipContender("tranship-postgres", "Tranship on PostgreSQL", service, postgres))

    def enter_sqlite(self):
        service = self.up(Tranship(self.binary, self.folder, "tranship-sqlite"))
        self.contenders.append(TranshipContender("tranship-sqlite", "Tranship on SQLite", service))

    def enter_apalis(self):
        arguments = ["apalis", "--folder", self.folder, "--connections"]
        # Its slow acknowledgement starves other connections until they give up, so as shipped it has one.
        shipped = [*arguments, 1, "--as-shipped"]
        self.contenders.append(Embedded("apalis-sqlite", "apalis-sqlite", self.race, shipped, self.folder))
        tuned = [*arguments, 4]
        self.contenders.append(Embedded("apalis-sqlite-tuned", "apalis-sqlite, tuned", self.race, tuned, self.folder))

    def enter_rabbitmq(self):
        broker = self.up(RabbitMq(self.folder))
        for connections in (4, 1):
            name = "rabbitmq" if connections == 4 else "rabbitmq-one"
            label = f"RabbitMQ quorum queue, {2 * connections} connections"
            arguments = ["rabbitmq", "--url", broker.url, "--connections", connections]
            self.contenders.append(RaceContender(name, label, self.race, arguments, broker))

    def __exit__(self, *_):
        for server in reversed(self.servers):
            try:
                server.stop()
            except (Broken, OSError) as error:
                print(f"bench: a server did not stop: {error}")
