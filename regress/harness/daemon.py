"""One smarthostd with directories and ports of its own."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SRC = pathlib.Path(os.environ.get("SRCDIR", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("BUILD", SRC / "build"))
BIN = BUILD / "bin"
ROLES = ("listener", "queue", "delivery", "auth")


def until(what, seconds=15.0, step=0.02):
    """Polls what() until it is true; its value, or the last false one when the time is up."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)  # poll


_given = set()


def free_port(host="127.0.0.1"):
    """A port from the kernel, not handed out twice by this process."""
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
            s.bind((host, 0))
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def work_user():
    """Whom the roles run as: an ordinary user where the tests run as root."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def work_dir(prefix="smarthostd-"):
    """A directory that the roles' user can pass through."""
    d = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    d.chmod(0o755)
    return d


_LINE = re.compile(r"(\S+) (\w+)\[(\d+)\] (\w+) ([\w-]+):(.*)")
_VALUE = re.compile(r' ([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def log_event(line):
    """A line of the log, text or JSON, as a dictionary; None: it is none."""
    if line.startswith("{"):
        return json.loads(line)
    g = _LINE.fullmatch(line)
    if not g:
        return None
    out = dict(zip(("time", "role", "pid", "level", "event"), g.groups()))
    for k, quoted, plain in _VALUE.findall(g.group(6)):
        out[k] = re.sub(r"\\(x..|.)", lambda m: chr(int(m.group(1)[1:], 16)) if m.group(1)[0] == "x" else m.group(1), quoted) or plain
    return out


class Daemon:
    """Daemon(text) or Daemon(lambda d: text); start() waits for `smarthostd: ready`.

    port is the first listener's; {port}, {dir} in the text are filled in.
    Use the fixture `daemon`, which stops it and prints its log on failure.
    """

    def __init__(self, text, env=None, listen=True, log="log stderr text debug", prefix=()):
        self.dir = work_dir()
        self.spool, self.run = self.dir / "spool", self.dir / "run"
        self.conf = self.dir / "smarthostd.conf"
        self.log_path, self.out_path = self.dir / "log", self.dir / "out"
        self.port = free_port()
        self.env = {"SMARTHOSTD_LIBEXEC": str(BIN), "SMARTHOSTD_RELAYCTL": str(BIN / "relayctl"), **(env or {})}
        self.prefix = list(prefix)
        self.listen, self.log_statement = listen, log
        self.proc = None
        self.configure(text)

    def configure(self, text):
        text = text.replace("{port}", str(self.port)).replace("{dir}", str(self.dir))
        head = [f"spool-directory {self.spool}", f"runtime-directory {self.run}", "hostname relay.test", self.log_statement]
        if os.geteuid() == 0 and not re.search(r"(?m)^user\s", text):
            head.append(f"user {work_user()}")
        if self.listen and not re.search(r"(?m)^\s*listen\s", text):
            head.append(f"listen 127.0.0.1:{self.port} {{ allow 127.0.0.0/8 }}")
        # what the test wrote comes first, so that FILE:LINE is its own
        self.conf.write_text(text.rstrip("\n") + "\n" + "\n".join(head) + "\n")
        self.conf.chmod(0o600)
        return self

    def environment(self):
        return {**os.environ, **self.env}

    # life
    def start_raw(self):
        """Starts it and waits for nothing."""
        assert self.proc is None or self.proc.poll() is not None, "already running"
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.proc = subprocess.Popen([*self.prefix, str(BIN / "smarthostd"), "-f", str(self.conf), "-d"], stdin=subprocess.DEVNULL,
                                         stdout=out, stderr=log, env=self.environment(), start_new_session=True)

    def start(self, timeout=30):
        seen = self.out_path.stat().st_size if self.out_path.exists() else 0
        self.start_raw()

        def ready():
            return b"smarthostd: ready\n" in self.out_path.read_bytes()[seen:] or self.proc.poll() is not None
        assert until(ready, timeout), "not ready in time:\n" + self.log
        assert self.proc.poll() is None, f"ended with {self.proc.returncode}:\n" + self.log
        return self

    def signal(self, signo):
        self.proc.send_signal(signo)

    def stop(self, timeout=20):
        """SIGTERM; the exit status.  Nothing may be left."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.signal(signal.SIGTERM)
        status = self.proc.wait(timeout)
        assert until(lambda: not self.pids(), 6), f"left behind: {self.pids()}"
        return status

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """SIGKILL to all that is left of it."""
        for _ in range(100):
            pids = self.pids()
            if self.proc is not None and self.proc.poll() is None:
                pids.append(self.proc.pid)
            if not pids:
                return
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            until(lambda: self.proc is None or self.proc.poll() is not None, 1)

    def remove(self, keep=False):
        self.kill()
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def pids(self):
        """{pid} of everything in its session that lives."""
        if self.proc is None:
            return []
        found = []
        for d in os.listdir("/proc"):
            if not d.isdigit():
                continue
            try:
                text = pathlib.Path(f"/proc/{d}/stat").read_text()
                threads = len(os.listdir(f"/proc/{d}/task"))
            except OSError:
                continue
            f = text[text.rindex(")") + 2:].split()
            # a process whose first thread has ended still holds its sockets while others of it live
            if (f[0] not in "ZX" or threads > 1) and int(f[3]) == self.proc.pid and int(d) != self.proc.pid:
                found.append(int(d))
        return found

    def role(self, name):
        """The pids of a role."""
        found = []
        for pid in self.pids():
            try:
                # not exe, which only root may read of a role
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == name + "\n":
                    found.append(pid)
            except OSError:
                pass
        return found

    def wait(self, timeout=20):
        """The exit status of one that ends by itself; None when it does not."""
        try:
            return self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    # looking
    def events(self, name=None, path=None, **wanted):
        """The log's lines, parsed, as dictionaries: time role pid level event, and the event's own."""
        path = self.log_path if path is None else path
        text = path.read_text(errors="replace") if path.exists() else ""
        lines = [e for e in map(log_event, text.split("\n")) if e]
        return [e for e in lines if name in (None, e["event"]) and all(e.get(k) == v for k, v in wanted.items())]

    def wait_event(self, name, seconds=15, **wanted):
        return until(lambda: self.events(name, **wanted), seconds)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def relayctl(self, *args, input=None, timeout=60):
        r = subprocess.run([str(BIN / "relayctl"), "-f", str(self.conf), *map(str, args)], input=input, capture_output=True, text=True,
                           timeout=timeout, env=self.environment())
        return r

    def relayctl_json(self, *args):
        r = self.relayctl(*args, "--json")
        assert r.returncode == 0, f"relayctl {' '.join(map(str, args))}: {r.returncode}: {r.stderr}"
        return json.loads(r.stdout)

    def queue(self, *selectors):
        return self.relayctl_json("queue", "list", *selectors)

    def wait_empty(self, seconds=20):
        return until(lambda: self.queue("--limit", "1") == [], seconds, 0.1)

    def sendmail(self, *args, input=b"", timeout=60):
        if isinstance(input, str):
            input = input.encode()
        return subprocess.run([str(BIN / "smarthost-sendmail"), "-C", str(self.conf), *args], input=input, capture_output=True, timeout=timeout,
                              env=self.environment())


def check(text, files=None):
    """smarthostd -n of a configuration: (exit status, what it said, the directory)."""
    d = work_dir("conf-")
    for name, (body, mode) in (files or {}).items():
        (d / name).parent.mkdir(parents=True, exist_ok=True)
        (d / name).write_text(body)
        (d / name).chmod(mode)
    f = d / "smarthostd.conf"
    f.write_text(text)
    f.chmod(0o600)
    r = subprocess.run([str(BIN / "smarthostd"), "-f", str(f), "-n"], capture_output=True, text=True, timeout=30)
    shutil.rmtree(d)
    return r.returncode, r.stderr + r.stdout, str(d)


def smarthost(port, *statements, name="up", hosts=None):
    """A transport to a port of this machine, and a route for all mail to it."""
    where = hosts or f"127.0.0.1:{port}"
    return "\n".join([f"transport {name} {{", f"  smarthost {where}", *statements, "}", f"route via {name}", ""])


class DeadPort:
    """A port that is bound but not listened on: connections are refused, and nobody else can take it."""

    def __init__(self, host="127.0.0.1"):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.bind((host, 0))
        self.port = self.sock.getsockname()[1]

    def release(self):
        """Free for a server to take."""
        self.sock.close()
        return self.port
