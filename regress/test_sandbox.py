"""A role that is taken over reaches nothing: each is entered and tries.  Users of their own for the roles; and hangs, which
are deaths."""
import contextlib
import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, BUILD, ROLES, SRC, DeadPort, smarthost, until

ROOT = os.geteuid() == 0
HERE = pathlib.Path(__file__).resolve().parent
root_only = pytest.mark.skipif(not ROOT, reason="only root can do this")


def threads(d, role):
    """The thread ids of a role's only process."""
    pid, = d.role(role)
    return sorted(map(int, os.listdir(f"/proc/{pid}/task")))


def status(tid):
    text = pathlib.Path(f"/proc/{tid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.split("\n") if ":\t" in line)


def walls(d):
    """(landlock's version, seccomp) as the roles have them."""
    lines = d.wait_event("sandbox", role="listener")
    assert lines, "nothing is said of the sandbox"
    if "landlock" not in lines[0]:
        pytest.skip("a build with sanitizers or coverage has no sandbox")
    return int(lines[0]["landlock"]), int(lines[0]["seccomp"])


@pytest.fixture(scope="session")
def enter():
    flag = dict(re.findall(r"(?m)^(\w+) := ?(.*)$", (BUILD / "config.flags").read_text()))
    out = BUILD / "obj" / "enter"
    temporary = out.with_name(f"enter.{os.getpid()}")
    r = subprocess.run([*flag["CC"].split(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", str(SRC / "regress/enter.c"),
                        "-o", str(temporary)], capture_output=True, text=True)
    if "not for this machine" in r.stderr:
        pytest.skip("entering a process is written for x86-64 and aarch64")
    assert r.returncode == 0, r.stderr
    temporary.rename(out)

    def run(tid, victim, file):
        r = subprocess.run([str(out), str(tid), str(victim), str(file)], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return dict(line.split() for line in r.stdout.splitlines())
    return run


# what is set

@pytest.mark.parametrize("role", ROLES)
def test_every_thread_is_confined(daemon, role):
    d = daemon()
    landlock, seccomp = walls(d)
    for tid in threads(d, role):
        s = status(tid)
        assert s["NoNewPrivs"] == "1" and s["CapEff"].strip("0") == "" and s["CapPrm"].strip("0") == ""
        assert s["Seccomp"] == ("2" if seccomp else "0")
    # not dumpable: what is private in /proc is root's, whoever the role runs as
    assert os.stat(f"/proc/{d.role(role)[0]}/environ").st_uid == 0


def test_nobody_traces_a_role(daemon):
    d = daemon()
    for pid in [d.role(r)[0] for r in ROLES]:
        r = subprocess.run(["dd", f"if=/proc/{pid}/environ", "of=/dev/null"], stderr=subprocess.PIPE, text=True,
                           **({"user": "nobody", "group": "nogroup", "extra_groups": []} if ROOT else {}))
        assert "Permission denied" in r.stderr, r.stderr


# what it means

NETWORK = {"socket-unix", "socket-netlink", "listen"}
PROCESSES = {"signal", "signal-thread", "trace", "read-memory", "exec", "fork"}
KERNEL = {"mount", "unshare", "setns", "bpf", "perf", "userfaultfd", "keyctl", "module", "kexec", "io_uring", "handle"}
BY_LANDLOCK = {"open", "open-passwd", "create", "open-memory"}


@root_only
@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_is_taken_over_reaches_nothing(daemon, enter, role):
    d = daemon()
    landlock, seccomp = walls(d)
    other, = d.role("auth" if role != "auth" else "queue")
    file = d.dir / "readable"
    file.write_text("for everyone")
    file.chmod(0o644)
    refused = set()
    if landlock:
        refused |= BY_LANDLOCK
    if seccomp:
        refused |= NETWORK | PROCESSES | KERNEL | {"chmod", "chown"}
        refused |= {"accept"} if role == "delivery" else {"socket", "connect", "bind"}
    if landlock and role != "auth":
        refused.add("urandom")
    for tid in threads(d, role):
        seen = enter(tid, other, file)
        assert {k for k, v in seen.items() if v in ("EPERM", "EACCES")} == refused, seen
        assert seen["getpid"] == "ok" and (role != "delivery" or seen["socket"] == "ok")
    assert not pathlib.Path("/tmp/smarthostd-entered").exists()
    # and it works on
    send(d.port, "a@here.test", ["b@there.test"], message("m"))
    assert d.role(role) and not d.events("role", level="error")


def test_mail_of_every_size_passes_the_sandbox(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port))
    for n, size in enumerate((10, 20_000, 100_000, 300_000, 3_000_000)):
        assert send(d.port, "a@here.test", ["b@there.test"], message(f"m{n}", body=(b"x" * 70 + b"\r\n") * (size // 72 + 1)))[0] == 250
    assert until(lambda: len(s.messages) == 5)
    assert d.wait_empty()
    # large bodies were files, and are gone
    assert until(lambda: not [f for f in d.spool.glob("[0-9a-f][0-9a-f]/*")], 10)


# users of their own

NAME = "relaytest"
FIRST = 61840


@pytest.fixture
def apart(daemon):
    """apart(text): a daemon whose users exist in its own view of /etc alone; skips where that cannot be made."""
    if not ROOT:
        pytest.skip("only root can become other users")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("this root may not make a mount namespace")
    made = []

    def make(text, users=ROLES, start=True):
        for i in range(6):
            with pytest.raises(KeyError):
                pwd.getpwuid(FIRST + i)
            with pytest.raises(KeyError):
                grp.getgrgid(FIRST + i)
        names = [NAME] + [f"{NAME}-{r}" for r in users]
        d = daemon(f"user {NAME}\ngroup {NAME}\n" + text, start=False)
        for file, line in (("passwd", "{}:x:{}:{}::/nonexistent:/usr/sbin/nologin"), ("group", "{}:x:{}:")):
            lines = [line.format(n, FIRST + i, FIRST + i) for i, n in enumerate(names)]
            (d.dir / file).write_text(pathlib.Path("/etc", file).read_text() + "\n".join(lines) + "\n")
            (d.dir / file).chmod(0o644)
        d.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {d.dir}/passwd /etc/passwd && mount --bind {d.dir}/group /etc/group && exec "$@"',
                    "sh"]
        made.append(d)
        return d.start() if start else d
    return make


def ids(d, role):
    s = status(d.role(role)[0])
    return set(s["Uid"].split()), set(s["Gid"].split()), set(s["Groups"].split())


def owner(path):
    st = os.stat(path)
    return st.st_uid, st.st_mode & 0o7777


def as_user(d, uid, groups, *args):
    """relayctl by somebody without a name."""
    return subprocess.run([str(BIN / "relayctl"), "-f", str(d.conf), *args], capture_output=True, text=True, timeout=30, env=d.environment(),
                          user=uid, group=uid, extra_groups=groups)


def test_each_role_has_its_user(apart, sink):
    s = sink()
    d = apart(smarthost(s.port))
    uid = {r: str(FIRST + 1 + i) for i, r in enumerate(ROLES)}
    for r in ROLES:
        assert ids(d, r) == ({uid[r]}, {uid[r]}, {uid[r]})
    assert not d.events("privileges")
    queue = int(uid["queue"])
    assert owner(d.spool) == (queue, 0o711) and owner(d.spool / "drop") == (queue, 0o1733) and owner(d.spool / "queue") == (queue, 0o700)
    assert owner(d.run) == (0, 0o755) and owner(d.run / "control.sock") == (0, 0o666) and owner(d.run / "submit.sock") == (0, 0o666)


def test_mail_passes_between_users(apart, sink):
    s = sink()
    d = apart("transport local { maildir {dir}/box/%u }\nroute to box.test via local\n" + smarthost(s.port), start=False)
    (d.dir / "box").mkdir()
    os.chown(d.dir / "box", FIRST + 1 + ROLES.index("queue"), -1)
    d.start()
    big = message("big", body=(b"y" * 70 + b"\r\n") * 9000)
    # a body of that size goes by a descriptor that queue made and the listener writes
    assert send(d.port, "a@here.test", ["b@there.test"], message("small"))[0] == 250
    assert send(d.port, "a@here.test", ["b@there.test"], big)[0] == 250
    r = d.sendmail("-i", "b@there.test", input="Subject: by sendmail\n\nx\n")
    assert r.returncode == 0, r.stderr
    assert until(lambda: len(s.messages) == 3), d.log
    assert any(m.data.endswith(big[-600_000:]) for m in s.messages)
    assert send(d.port, "a@here.test", ["someone@box.test"], message("box"))[0] == 250
    assert until(lambda: list((d.dir / "box").glob("someone/new/*")), 10)
    assert d.wait_empty()


def test_the_drop_directory_works_between_users(apart, sink):
    s = sink()
    d = apart(smarthost(s.port))
    d.stop()
    d.conf.chmod(0o644)
    r = subprocess.run([str(BIN / "smarthost-sendmail"), "-C", str(d.conf), "-i", "b@there.test"], input=b"Subject: dropped\n\nx\n",
                       capture_output=True, env=d.environment(), user="nobody", group="nogroup", extra_groups=[])
    assert r.returncode == 0, r.stderr
    assert list((d.spool / "drop").iterdir())
    d.start()
    assert until(lambda: len(s.messages) == 1), d.log
    assert until(lambda: not list((d.spool / "drop").iterdir()), 10)


def test_members_of_the_group_administer(apart):
    d = apart(smarthost(DeadPort().port))
    d.conf.chmod(0o644)
    assert as_user(d, 65534, [FIRST], "status").returncode == 0
    assert as_user(d, FIRST + 1 + ROLES.index("queue"), [], "status").returncode == 0
    assert as_user(d, 65534, [], "status").returncode == 77
    # the number comes anew with each configuration: queue cannot look it up
    d.conf.write_text(d.conf.read_text().replace(f"group {NAME}\n", f"group {NAME}-auth\n"))
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload", text="the new configuration is in force"), d.log
    auth = FIRST + 1 + ROLES.index("auth")
    assert until(lambda: as_user(d, 65534, [auth], "status").returncode == 0)
    assert as_user(d, 65534, [FIRST], "status").returncode == 77


def test_a_role_that_dies_comes_back_as_its_user(apart):
    d = apart("")
    for r in ROLES:
        before = ids(d, r)
        pid, = d.role(r)
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: [p for p in d.role(r) if p != pid])
        assert ids(d, r) == before


def test_without_all_users_the_roles_share_one_and_it_is_said(apart):
    d = apart("", users=("queue",))
    assert ids(d, "queue")[0] == {str(FIRST + 1)} and ids(d, "listener")[0] == {str(FIRST)}
    assert d.events("privileges", level="warn")


@root_only
def test_a_user_that_does_not_exist_ends_the_start(daemon):
    d = daemon("user nobody-of-this-name\n", start=False)
    with pytest.raises(AssertionError):
        d.start()
    assert "user nobody-of-this-name does not exist" in d.log


# systemd, and roles that hang

@pytest.fixture
def systemd(daemon):
    """systemd(text, env) -> (the daemon, a list that what it tells is added to)"""
    made = []

    def make(text="", **env):
        d = daemon(text, start=False)
        path = d.dir / "notify"
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(str(path))
        path.chmod(0o666)
        s.setblocking(False)
        made.append(s)
        said = []

        def hear():
            with contextlib.suppress(BlockingIOError):
                while True:
                    said.append(s.recv(4096).decode())
            return said
        d.env.update(NOTIFY_SOCKET=str(path), **env)
        d.start()
        return d, hear
    yield make
    for s in made:
        s.close()


def test_systemd_hears_that_all_roles_live(systemd):
    d, hear = systemd(WATCHDOG_USEC="3000000")
    assert until(lambda: hear().count("WATCHDOG=1") >= 5)
    assert hear()[0] == "READY=1"
    d.stop()
    assert hear()[-1] == "STOPPING=1"


def test_without_a_watchdog_there_is_silence(systemd):
    began = time.monotonic()
    d, hear = systemd(WATCHDOG_USEC="3000000", WATCHDOG_PID="1")
    send(d.port, "a@here.test", ["b@there.test"], message("m"))
    assert until(lambda: time.monotonic() - began > 2, 5, 0.2)
    assert hear() == ["READY=1"]


def test_a_reload_is_told_from_its_beginning_to_its_end(systemd):
    d, hear = systemd()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    old = d.role("listener")
    d.signal(signal.SIGHUP)
    assert until(lambda: len(hear()) == 3), hear()
    ready, reloading, again = hear()
    at = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading).group(1))
    assert before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert ready == again == "READY=1" and set(d.role("listener")) - set(old)
    # a configuration that is refused ends it, too
    d.conf.write_text("nonsense\n")
    d.signal(signal.SIGHUP)
    assert until(lambda: len(hear()) == 5), hear()
    assert hear()[3].startswith("RELOADING=1\n") and hear()[4] == "READY=1"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_hangs_is_replaced(systemd, role):
    d, hear = systemd(smarthost(DeadPort().port), WATCHDOG_USEC="3000000")
    pid, = d.role(role)
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: [p for p in d.role(role) if p != pid], 15), d.log
    assert not os.path.exists(f"/proc/{pid}")
    assert [e for e in d.events("role") if "does not answer" in e["text"]]
    n = hear().count("WATCHDOG=1")
    assert until(lambda: hear().count("WATCHDOG=1") > n + 2)
    assert until(lambda: send(d.port, "a@here.test", ["b@there.test"], message("m"))[0] == 250)


def test_a_role_that_is_slow_is_left_alone(systemd):
    d, hear = systemd(WATCHDOG_USEC="6000000")
    pid, = d.role("queue")
    with Paused(pid):
        assert until(lambda: hear().count("WATCHDOG=1") >= 2)
    c = Client(d.port)
    assert c.cmd("NOOP")[0] == 250 and d.role("queue") == [pid]
    assert until(lambda: hear().count("WATCHDOG=1") >= 4) and d.role("queue") == [pid]


class Paused:
    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)
