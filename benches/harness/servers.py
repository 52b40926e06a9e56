"""The servers of the races: Tranship itself, PostgreSQL and RabbitMQ, each with its fsyncs counted."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .machine import ROOT, Broken, Counter, Process, answers, free_port, listens, run, usage, wait_until

JOB = "Bench relay"
CLIENT = "bench"


class Tranship:
    """`tranship serve` on a store of its own, with one relay job and one client."""

    # How the binary says it was built; a debug build is not judged.
    build = "unknown"

    def __init__(self, binary, folder, name, store=None):
        self.binary, self.store = binary, store
        self.folder = folder / name
        self.data = self.folder / "data"
        for part in ("jobs", "entities"):
            (self.folder / part).mkdir(parents=True)
        (self.folder / "jobs" / "bench-relay.toml").write_text(
            f'id = "8c1d7f0e-5b0a-4f57-9e0c-3f2f6a2d9b41"\nname = "{JOB}"\ndirection = "relay"\n'
            f'clients = ["{CLIENT}"]\n'
        )
        self.counter = Counter(folder, name)
        self.process = None
        self.secret = None

    def settings(self):
        flags = ["--data-dir", self.data, "--set", f"jobs_dir={self.folder / 'jobs'}"]
        flags += ["--set", f"entities_dir={self.folder / 'entities'}"]
        # Longer than any measurement: no lease lapses.
        flags += ["--set", "queue.lease_seconds=86400"]
        return flags + (["--set", f"store.url={self.store}"] if self.store else [])

    def add_client(self):
        made = run(self.binary, "client", "add", CLIENT, "--json", *self.settings(), cwd=self.folder)
        self.secret = json.loads(made)["client_secret"]

    def start(self):
        if self.secret is None:
            self.add_client()
        command = [self.binary, "serve", "--listen", "127.0.0.1:0", *self.settings()]
        environment = {**self.counter.environment(), "RUST_LOG": "warn"}
        self.process = Process(command, self.folder / "serve.log", environment, self.folder)
        wait_until(self.ready, 60, "tranship serve")
        return self

    def ready(self):
        if self.process.child.poll() is not None:
            raise Broken(f"tranship serve ended: {self.process.said()}")
        file = self.data / "listening"
        return file.exists() and file.read_text().strip() != "" and answers(f"{self.url}/health/ready")

    @property
    def url(self):
        address = (self.data / "listening").read_text().strip()
        return address if address.startswith("http") else f"http://{address}"

    def load(self, *arguments):
        """`tranship bench queue` against it: the figures."""
        environment = {**os.environ, "TRANSHIP_CLIENT_ID": CLIENT, "TRANSHIP_CLIENT_SECRET": self.secret}
        command = [self.binary, "bench", "queue", "--json", "--url", self.url, "--job", JOB, "--folder", self.folder]
        figures = json.loads(run(*command, *arguments, env=environment, timeout=7200))
        Tranship.build = figures.get("build", "unknown")
        return figures

    def costs(self):
        return {"fsyncs": self.counter.read(), **usage(self.process.child.pid)}

    def stop(self):
        if self.process:
            self.process.stop()


class Postgres:
    """A cluster of its own from `scripts/postgres`, fsync on, with the extensions the bench reads costs from."""

    SETTINGS = {
        "shared_preload_libraries": "pg_stat_statements,auto_explain",
        "shared_buffers": "1GB",
        "max_wal_size": "8GB",
        "track_wal_io_timing": "off",
        "auto_explain.log_min_duration": "-1",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_buffers": "on",
        "auto_explain.log_timing": "off",
        "auto_explain.log_format": "json",
    }

    def __init__(self, folder):
        self.folder = folder / "postgres"
        self.counter = Counter(folder, "postgres")
        self.binaries = None
        self.url = None

    def start(self):
        self.folder.mkdir()
        # The cluster's own user works here.
        self.folder.chmod(0o777)
        environment = {**os.environ, **self.counter.environment()}
        said = run("scripts/postgres", "start", self.folder, env=environment)
        self.url = re.search(r"TRANSHIP_TEST_POSTGRES=(\S+)", said).group(1)
        with open(self.folder / "data" / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in self.SETTINGS.items())
        self.pg_ctl("restart", environment)
        self.sql("create extension pg_stat_statements")
        return self

    def pg_ctl(self, verb, environment):
        options = Path(self.folder, "data", "postmaster.opts").read_text().split(None, 1)[0]
        pg_ctl = Path(options.strip('"')).with_name("pg_ctl")
        command = [pg_ctl, verb, "-D", self.folder / "data", "-l", self.folder / "server.log", "-w", "-m", "fast"]
        if os.getuid() == 0:
            owner = Path(self.folder, "data").owner()
            command = ["runuser", "-u", owner, "--", *command]
        # Its output goes to a file: a server that inherits a pipe keeps it open.
        with open(self.folder / "pg_ctl.log", "w", encoding="utf-8") as log:
            subprocess.run([str(part) for part in command], env=environment, cwd="/", check=True, timeout=120, stdout=log, stderr=log)

    def sql(self, statement, database="postgres"):
        """Runs a statement; rows as lines, columns separated by |."""
        return run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.at(database), "-c", statement).strip()

    def at(self, database):
        return self.url.rsplit("/", 1)[0] + f"/{database}"

    def create(self, database):
        self.sql(f"create database {database}")
        return self.at(database)

    def pid(self):
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def settle(self):
        """Between rounds: what the one before left in memory is written by nobody's round."""
        self.sql("checkpoint")

    def costs(self):
        wal = self.sql("select wal_sync, wal_bytes from pg_stat_wal").split("|")
        statements = self.sql("select coalesce(sum(calls), 0) from pg_stat_statements")
        return {
            "fsyncs": self.counter.read(),
            "wal_syncs": int(wal[0]),
            "wal_bytes": int(wal[1]),
            "statements": int(statements),
            **usage(self.pid()),
        }

    def hold_transaction(self, database):
        """A session that began a transaction, took a snapshot and an id, and went to sleep."""
        return HeldTransaction(self.at(database))

    def stop(self):
        if self.url:
            # In order first: a server stopped at once leaves its shared memory behind.
            self.pg_ctl("stop", dict(os.environ))
            run("scripts/postgres", "stop", self.folder)


class HeldTransaction:
    """A transaction left open, as a forgotten session leaves it."""

    def __init__(self, url):
        self.session = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.session.stdin.write("begin isolation level repeatable read;\nselect pg_current_xact_id();\n")
        self.session.stdin.flush()
        if not self.session.stdout.readline().strip().isdigit():
            raise Broken("a transaction could not be held open")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.stdin.close()
        self.session.wait(30)


class RabbitMq:
    """A broker of its own: one node on loopback, no plugins, its data in the lane."""

    def __init__(self, folder):
        self.folder = folder / "rabbitmq"
        self.counter = Counter(folder, "rabbitmq")
        self.process = None
        self.port, self.name_server = free_port(), free_port()

    def start(self):
        servers = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        if not servers:
            raise Broken("rabbitmq-server is not installed")
        self.folder.mkdir()
        (self.folder / "rabbit.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{self.port}\nlog.console = false\n")
        (self.folder / "plugins").write_text("[].\n")
        environment = {
            **self.counter.environment(),
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.name_server),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "race@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbit.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.process = Process([servers[-1]], self.folder / "server.log", environment)
        wait_until(lambda: listens(self.port), 90, "rabbitmq-server")
        return self

    @property
    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    def costs(self):
        return {"fsyncs": self.counter.read(), **usage(self.process.child.pid)}

    def version(self):
        return sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))[-1].name.removeprefix("rabbitmq_server-")

    def stop(self):
        if self.process:
            self.process.stop()
            epmd = shutil.which("epmd")
            if epmd:
                # The name server the node started for itself, by its own port.
                subprocess.run([epmd, "-port", str(self.name_server), "-kill"], capture_output=True, check=False, timeout=20)


def default_binary():
    """The newest of the built binaries."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "release" / "tranship", target / "debug" / "tranship") if path.exists()]
    if not built:
        raise Broken("no tranship binary is built; run `cargo build --release` or name one with --bin")
    return built[0]
