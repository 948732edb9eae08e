"""What breaks around the daemon while it runs: descriptors, the spool, programs, the clock."""
import os
import shutil
import socket
import subprocess
import time

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, DeadPort, smarthost, until, work_dir

DAY = 24 * 3600 * 1000
RETRY = "retry 1s\n"
LARGE = b"a line of a body that is not kept in memory\r\n" * 8000


def offer(d, ident, body=b"hello\r\n", **kw):
    """The reply; (0, "") where there is no session to be had."""
    try:
        return send(d.port, "from@here.test", ["to@there.test"], message(ident, body=body), **kw)
    except OSError:
        return 0, ""


def arrived(s):
    return sorted(m.data.split(b"X-Test-Id: ")[1].split(b"\r\n")[0].decode() for m in list(s.messages))


# ---- descriptors

def test_without_descriptors_new_connections_wait(daemon, sink):
    """They are in the kernel's queue then, and greeted once others have gone."""
    s = sink()
    d = daemon("listen 127.0.0.1:{port} { allow 127.0.0.0/8; max-connections 1000 }\n" + smarthost(s.port), prefix=["prlimit", "--nofile=48:48"])
    socks = []
    try:
        for _ in range(80):
            socks.append(socket.create_connection(("127.0.0.1", d.port), 10))
            socks[-1].setblocking(False)
        assert d.wait_event("accept"), "it says nothing"
        assert "Too many open files" in d.events("accept")[0]["text"]
        greeted = [c for c in socks if has_data(c)]
        assert 5 < len(greeted) < 80
        rest = [c for c in socks if c not in greeted]
        # who is in goes on, though nobody else gets in
        greeted[0].sendall(b"EHLO x\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n")
        assert until(lambda: b"\n354" in peek(greeted[0]), 10)
        greeted[0].sendall(message("inside") + b".\r\n")
        assert until(lambda: b"\n250 2.0.0" in peek(greeted[0]), 10)
        used = cpu(d.role("listener")[0])
        time.sleep(1)   # a second to be idle in
        assert cpu(d.role("listener")[0]) - used < 0.2, "it spins"
        for c in greeted:
            c.close()
        for c in rest[:5]:
            assert until(lambda: has_data(c), 10), "it was forgotten"
    finally:
        for c in socks:
            c.close()
    assert until(lambda: offer(d, "after")[0] == 250, 10, 0.2)
    assert until(lambda: arrived(s) == ["after", "inside"], 15), arrived(s)
    assert len(d.events("accept")) < 20, "one line a time, not one a connection"
    assert not d.events("role", level="error")


def cpu(pid):
    """Seconds of processor time."""
    with open(f"/proc/{pid}/stat") as f:
        values = f.read().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def peek(c):
    try:
        return c.recv(65536, socket.MSG_PEEK)
    except BlockingIOError:
        return b""


def has_data(c):
    return peek(c) != b""


# ---- the spool

def test_a_spool_that_is_moved_away_loses_nothing(daemon, sink):
    """Its descriptors go with it: what is taken is kept there, and a reader of the old name is told."""
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    away = d.dir / "away"
    d.spool.rename(away)
    codes = {name: offer(d, name, body)[0] for name, body in (("small", b"x\r\n"), ("large", LARGE))}
    assert set(codes.values()) <= {250, 451, 452}, codes
    away.rename(d.spool)
    assert until(lambda: offer(d, "after", LARGE)[0] == 250, 10, 0.1)
    wanted = sorted([n for n, code in codes.items() if code == 250] + ["after"])
    assert until(lambda: arrived(s) == wanted, 15), (arrived(s), wanted)
    assert until(lambda: d.relayctl("queue", "verify").returncode == 0, 5, 0.2)
    assert not d.events("role", level="error")


def test_a_spool_that_cannot_be_written_any_more(daemon, sink):
    """A large message finds no file: 451 or 452, a line in the log, and all is well when it can be written again."""
    s = sink()
    d = daemon(RETRY + smarthost(s.port))
    if subprocess.run(["chattr", "+i", str(d.spool)], capture_output=True).returncode != 0:
        for x in [d.spool, *(x for x in d.spool.iterdir() if len(x.name) == 2)]:
            x.chmod(0o500)
    try:
        code, text = offer(d, "large", LARGE)
        if code == 250:
            pytest.skip("the directory can still be written")
        assert code in (451, 452), (code, text)
        assert str(d.spool) in d.log, "nothing names the directory"
        assert offer(d, "small")[0] == 250
    finally:
        subprocess.run(["chattr", "-i", str(d.spool)], capture_output=True)
        for x in [d.spool, *(x for x in d.spool.iterdir() if len(x.name) == 2)]:
            x.chmod(0o700 if x != d.spool else 0o755)
    assert until(lambda: offer(d, "again", LARGE)[0] == 250, 10, 0.1)
    assert until(lambda: arrived(s) == ["again", "small"], 15), arrived(s)
    assert not d.events("role", level="error")


def test_a_queue_that_finds_its_spool_gone_waits_for_it(daemon, sink):
    """It begins no empty queue in its place, and clients hear 451 until it is back."""
    dead = DeadPort()
    d = daemon(RETRY + smarthost(dead.port))
    assert offer(d, "kept")[0] == 250
    away = d.dir / "away"
    d.spool.rename(away)
    os.kill(d.role("queue")[0], 9)
    assert until(lambda: len([e for e in d.events(level="error") if str(d.spool) in e["text"]]) >= 2, 10), "nothing names the directory"
    assert offer(d, "meanwhile")[0] == 451
    assert not d.spool.exists()
    away.rename(d.spool)
    s = sink(port=dead.release())
    assert until(lambda: offer(d, "after")[0] == 250, 15, 0.2)
    assert until(lambda: arrived(s) == ["after", "kept"], 15), arrived(s)
    assert d.relayctl("queue", "verify").returncode == 0


# ---- the clock

def set_clock(f, ms):
    with open(f, "r+" if f.exists() else "w") as out:
        out.write(f"{ms:<30}")


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_jumps_a_day_neither_bounces_nor_stalls(daemon, sink, days):
    dead = DeadPort()
    d = daemon("retry 1s\nexpire 5d\nwarn-after off\n" + smarthost(dead.port), start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    for i in range(5):
        assert offer(d, f"m{i}")[0] == 250
    assert until(lambda: len({e["id"] for e in d.events("delivery", status="deferred")}) == 5)
    set_clock(clock, days * DAY)
    seen = len(d.events("delivery", status="deferred"))
    assert until(lambda: len(d.events("delivery", status="deferred")) > seen, 10), "no attempt after the jump"
    assert offer(d, "new")[0] == 250
    s = sink(port=dead.release())
    assert until(lambda: len(s.messages) == 6, 15), arrived(s)
    set_clock(clock, 0)
    assert offer(d, "back")[0] == 250
    assert until(lambda: arrived(s) == ["back", "m0", "m1", "m2", "m3", "m4", "new"], 15), arrived(s)
    assert d.wait_empty()
    assert not d.events("delivery", status="bounced")


# ---- programs that die at once

@pytest.fixture
def programs():
    """A directory with all programs; break_one(role) and mend(role)."""
    class Programs:
        path = work_dir("libexec-")

        def put(self, source, name):
            new = self.path / ".new"        # one that runs cannot be written
            shutil.copy(source, new)
            new.chmod(0o755)
            new.rename(self.path / name)

        def break_one(self, name):
            self.put("/bin/false", name)

        def mend(self, name):
            self.put(BIN / name, name)
    p = Programs()
    for f in BIN.iterdir():
        p.mend(f.name)
    yield p
    shutil.rmtree(p.path)


@pytest.mark.parametrize("name", ["listener", "queue", "delivery", "auth"])
def test_a_role_that_cannot_run_ends_the_first_start(daemon, programs, name):
    d = daemon(start=False, env={"SMARTHOSTD_LIBEXEC": str(programs.path)})
    programs.break_one(name)
    d.start_raw()
    assert d.wait(15) == 1, d.proc.returncode
    assert "ready" not in d.out_path.read_text()
    assert [e for e in d.events("role", level="error") if e["text"].startswith(name + " ") and "status 1" in e["text"]], d.log
    assert until(lambda: not d.pids(), 5), "a role was left behind"


@pytest.mark.parametrize("name", ["listener", "queue", "delivery", "auth"])
def test_a_role_that_cannot_run_any_more_is_tried_again(daemon, sink, programs, name):
    """Ever less often; the others go on meanwhile, and it comes back when its program does."""
    s = sink()
    d = daemon(RETRY + smarthost(s.port), env={"SMARTHOSTD_LIBEXEC": str(programs.path)})
    others = {r: d.role(r) for r in ("listener", "queue", "delivery", "auth") if r != name}
    programs.break_one(name)
    os.kill(d.role(name)[0], 9)

    def deaths():
        return [e for e in d.events("role", level="error") if e["text"].startswith(name + " ")]
    assert until(lambda: len(deaths()) >= 5, 15)
    assert {r: d.role(r) for r in others} == others
    assert len(deaths()) < 8, "there is no pause between"
    code = offer(d, "meanwhile", **({"timeout": 2} if name == "listener" else {}))[0]      # the port is open, nobody greets
    assert code == {"listener": 0, "queue": 451}.get(name, 250) or name == "listener"
    assert name == "queue" or d.relayctl("status").returncode == 0
    programs.mend(name)
    assert until(lambda: d.role(name), 15)
    assert until(lambda: offer(d, "after")[0] == 250, 15, 0.2)
    assert until(lambda: "after" in arrived(s) and ("meanwhile" in arrived(s)) == (code == 250), 15), arrived(s)
    assert d.proc.poll() is None and d.wait_empty()


def test_a_program_that_is_gone_is_named(daemon, sink, programs):
    s = sink()
    d = daemon(RETRY + smarthost(s.port), env={"SMARTHOSTD_LIBEXEC": str(programs.path)})
    (programs.path / "delivery").unlink()
    os.kill(d.role("delivery")[0], 9)
    assert until(lambda: [e for e in d.events("monitor", level="error") if str(programs.path / "delivery") in e["text"]], 10)
    c = Client(d.port)
    assert c.mail("from@here.test", ["to@there.test"], message("m"))[0] == 250
    c.quit()
    programs.mend("delivery")
    assert until(lambda: arrived(s) == ["m"], 20)
