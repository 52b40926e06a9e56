"""The machine under the races: lanes, processes that are ours to stop, what they cost, and the counter of fsyncs."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANES = {"disk": "/var/tmp", "tmpfs": "/dev/shm"}


class Broken(Exception):
    """A step of the bench that failed, with what its tool said."""


def run(*command, **options):
    """Runs a command to its end and returns what it printed; says what it said when it failed."""
    options.setdefault("timeout", 3600)
    options.setdefault("cwd", ROOT)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise Broken(f"{Path(command[0]).name} {command[1] if len(command) > 1 else ''} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def free_port():
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready, seconds, what):
    """Polls until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise Broken(f"{what} did not come up in {seconds} seconds")


def answers(url):
    """Whether a URL is answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def listens(port):
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def lane_folder(lane):
    """A folder on the lane's file system, removed in the end. A database's own user has to reach it."""
    folder = Path(tempfile.mkdtemp(prefix="tranship-bench.", dir=LANES[lane]))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_system(folder):
    """The type of the file system a folder is on, as the kernel says."""
    return run("stat", "-f", "-c", "%T", folder).strip()


def description():
    """What a reader needs to judge the rates; nothing that names the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "kernel": platform.release().split("-")[0],
        "architecture": platform.machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


class Counter:
    """Fsyncs of a server, counted by a library that is compiled here and loaded into it."""

    NAMES = ("log", "other", "probe")

    def __init__(self, folder, name):
        self.library = folder / "fsync_counter.so"
        if not self.library.exists():
            source = Path(__file__).with_name("fsync_counter.c")
            run("gcc", "-O2", "-shared", "-fPIC", "-o", self.library, source, "-ldl")
            self.library.chmod(0o755)
        self.file = folder / f"{name}.fsyncs"
        self.file.write_bytes(bytes(8 * len(self.NAMES)))
        self.file.chmod(0o666)

    def environment(self):
        """What a server has to be started with."""
        return {"LD_PRELOAD": str(self.library), "TRANSHIP_BENCH_FSYNCS": str(self.file)}

    def read(self):
        """The counts so far."""
        return dict(zip(self.NAMES, struct.unpack("<3Q", self.file.read_bytes())))


class Process:
    """A process that was started here, with everything below it."""

    def __init__(self, command, log, environment=None, cwd=None):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                cwd=cwd or ROOT,
                start_new_session=True,
            )

    def said(self):
        """The end of its log."""
        return Path(self.log).read_text(errors="replace")[-2000:]

    def stop(self, seconds=20):
        """Asks it to end, then ends it."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


def tree(pid):
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found, grown = {pid}, True
    while grown:
        children = {child for child, parent in parents.items() if parent in found}
        grown = not children <= found
        found |= children
    return found


def usage(pid):
    """Processor seconds, bytes handed to block devices and resident memory of a process and its descendants, with those
    that ended: their parent inherits the first two."""
    tick = os.sysconf("SC_CLK_TCK")
    cpu = written = resident = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            folder = Path(f"/proc/{one}")
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            cpu += sum(int(field) for field in fields[11:15]) / tick
            resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            for line in (folder / "io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    written += int(line.split()[1])
    return {"cpu_seconds": cpu, "written_bytes": written, "resident_bytes": resident}
