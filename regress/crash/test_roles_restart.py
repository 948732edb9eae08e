"""Roles that die come back, roles without a monitor end, and a daemon that is told to end does so in time."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from harness.client import Client, message, send, stuffed
from harness.daemon import BIN, ROLES, until

CONF = """
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off }}
retry 1s 2s
"""
LARGE = b"a line of a large message\r\n" * 12000


class Slow:
    """A server that takes a message and keeps its answer to itself until go()."""

    def __init__(self, sink):
        self.hold = True
        self.out = sink(self.script)

    def script(self, stage, session, arg):
        return (60, None) if stage == "body" and self.hold else None

    def holds(self, n=1):
        return until(lambda: len(self.out.messages) >= n, 10)


def ids(out):
    return sorted(m.data.split(b"X-Test-Id: ")[1].split(b"\r\n")[0].decode() for m in list(out.messages))


def kill_one(d, name):
    """SIGKILL to a role; the seconds until there is another."""
    pid = d.role(name)[0]
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    assert until(lambda: [p for p in d.role(name) if p != pid], 15, 0.005), f"{name} does not come back"
    return time.monotonic() - began


@pytest.mark.parametrize("name", ROLES)
def test_a_role_that_dies_comes_back(daemon, sink, name):
    out = sink()
    d = daemon(CONF.format(port=out.port))
    assert send(d.port, "a@here.test", ["b@there.test"], message("before"))[0] == 250
    others = {r: d.role(r) for r in ROLES if r != name}
    assert all(len(p) == 1 for p in others.values())
    # 0.1 s, doubling
    for k in range(4):
        least = 0.1 * 2 ** k
        assert least * 0.9 <= kill_one(d, name) < least + 2
    assert {r: d.role(r) for r in ROLES if r != name} == others, "the others go on"

    def taken():
        try:
            return send(d.port, "a@here.test", ["b@there.test"], message("after"))[0] == 250
        except OSError:
            return False
    assert until(taken, 10)
    assert until(lambda: {"before", "after"} <= set(ids(out)), 10)


def test_a_client_outlives_the_queue(daemon, sink):
    """It hears 451 and sends again, on the connection that it has."""
    out = sink()
    d = daemon(CONF.format(port=out.port))
    c = Client(d.port)
    for line in ("MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>", "DATA"):
        assert c.cmd(line)[0] in (250, 354)
    c.send(message("one")[:-5])
    kill_one(d, "queue")
    c.send("\r\n.\r\n")
    first = c.reply()
    assert first[0] in (250, 451), first
    assert until(lambda: c.mail("a@here.test", ["b@there.test"], message("two"))[0] == 250, 10, 0.1)
    assert until(lambda: "two" in ids(out), 10)
    assert ids(out).count("two") == 1 and ("one" in ids(out)) == (first[0] == 250)
    c.quit()


def test_a_large_body_is_refused_when_its_queue_is_gone(daemon, sink, look):
    out = sink()
    d = daemon(CONF.format(port=out.port))
    c = Client(d.port)
    for line in ("MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>", "DATA"):
        assert c.cmd(line)[0] in (250, 354)
    data = message("large", body=LARGE)
    c.send(data[:250000])
    assert until(lambda: "from=spool to=data" in d.log, 5), "no file was lent"
    kill_one(d, "queue")
    c.send(data[250000:] + b".\r\n")
    code, _ = c.reply()
    assert code in (250, 451)
    assert until(lambda: c.mail("a@here.test", ["b@there.test"], data)[0] == 250, 10, 0.1)
    c.quit()
    assert until(lambda: not look.messages(d.spool), 10)
    assert ids(out) == ["large"] * (1 if code == 451 else 2)
    look.verify(d)


def test_roles_end_when_monitor_dies(daemon, sink, look):
    """Within 5 s, whatever they are doing; and the next start goes on where they were."""
    slow = Slow(sink)
    d = daemon(CONF.format(port=slow.out.port))
    for i in range(3):
        assert send(d.port, "a@here.test", [f"b{i}@there.test"], message(f"m{i}"))[0] == 250
    assert slow.holds(2)        # a window begins so small
    held = ids(slow.out)
    c = Client(d.port)
    for line in ("MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>", "DATA"):
        c.cmd(line)
    c.send(message("half", body=LARGE)[:200000])
    d.proc.kill()
    d.proc.wait()
    began = time.monotonic()
    assert until(lambda: not d.pids(), 5), f"these live: {d.pids()}"
    assert time.monotonic() - began < 5
    assert c.closed()
    slow.hold = False
    d.start()
    assert until(lambda: not look.messages(d.spool), 15, 0.1)
    assert ids(slow.out) == sorted(held + ["m0", "m1", "m2"])       # the first copies' replies were never heard
    look.verify(d)


def test_one_daemon_on_a_spool(daemon, sink):
    out = sink()
    d = daemon(CONF.format(port=out.port))
    other = daemon(CONF.format(port=out.port), start=False)
    text = other.conf.read_text()
    for change in ((f"{other.spool}", f"{d.spool}"), (f"{other.run}", f"{d.run}")):
        other.conf.write_text(text.replace(*change))
        r = subprocess.run([str(BIN / "smarthostd"), "-f", str(other.conf), "-d"], capture_output=True, text=True, timeout=20, env=d.environment())
        assert r.returncode not in (0, None) and "ready" not in r.stdout, r
        assert re.search(r"smarthostd .*\bpid \d+", r.stderr) and change[1] in r.stderr, r.stderr
    # the first one has not felt it
    assert send(d.port, "a@here.test", ["b@there.test"], message("m"))[0] == 250
    assert until(lambda: ids(out) == ["m"], 10)
    r = d.relayctl("status")
    assert r.returncode == 0, r.stderr


def test_a_restart_with_mail_in_flight_makes_no_copies(daemon, sink, look):
    """What a server is about to answer is waited for."""
    sent, out = [], sink(lambda stage, session, arg: (0.5, None) if stage == "body" else None)
    d = daemon(CONF.format(port=out.port))
    for i in range(60):
        sent.append(f"m{i:02}")
        assert send(d.port, "a@here.test", [f"b{i}@there.test"], message(sent[-1], body=LARGE if i % 5 == 0 else b"small\r\n"))[0] == 250
    for _ in range(2):
        assert until(lambda: out.open > 0, 10)
        began = time.monotonic()
        assert d.stop() == 0
        assert time.monotonic() - began < 10
        d.start()
    assert until(lambda: not look.messages(d.spool), 20, 0.1)
    assert ids(out) == sent
    assert not re.search("did not end in time|ended by signal", d.log)
    look.verify(d)


def test_it_ends_in_time_whatever_hangs(daemon, sink, look):
    """A server that never answers, and a client in the middle of a message that never goes on."""
    slow = Slow(sink)
    d = daemon(CONF.format(port=slow.out.port))
    assert send(d.port, "a@here.test", ["b@there.test"], message("held"))[0] == 250
    assert slow.holds()
    c = Client(d.port)
    for line in ("MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>", "DATA"):
        c.cmd(line)
    c.send(message("half", body=LARGE)[:200000])
    began = time.monotonic()
    d.signal(signal.SIGTERM)
    assert until(lambda: refused(d.port), 5), "new clients are still taken"
    assert d.proc.wait(15) == 0
    seconds = time.monotonic() - began
    assert seconds < 10, f"{seconds:.1f} s"
    assert until(lambda: not d.pids(), 2)
    assert c.closed()
    slow.hold = False
    d.start()
    assert until(lambda: not look.messages(d.spool), 15, 0.1)
    assert set(ids(slow.out)) == {"held"} and len(ids(slow.out)) <= 2
    look.verify(d)


def refused(port):
    try:
        c = Client(port, timeout=2, hello=False)
        code = c.greeting[0]
        c.close()
        return code == 421
    except (OSError, ValueError):
        return True


def test_it_waits_for_a_client_that_is_in_a_message(daemon, sink):
    """TERM comes in the middle of DATA: the message is taken, kept and answered, and then it ends."""
    out = sink()
    d = daemon(CONF.format(port=out.port))
    c = Client(d.port)
    for line in ("MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>", "DATA"):
        c.cmd(line)
    data = stuffed(message("whole", body=LARGE)) + b".\r\n"
    c.send(data[:150000])
    ended = threading.Thread(target=lambda: d.proc.wait(20))
    d.signal(signal.SIGTERM)
    ended.start()
    assert until(lambda: "finishing what is in flight" in d.log, 5)
    c.send(data[150000:])
    code, text = c.reply()
    assert code in (250, 421), (code, text)
    ended.join()
    assert d.proc.returncode == 0
    d.start()
    assert until(lambda: ids(out) == ["whole"] * (code == 250), 10), (code, ids(out))
    assert code == 250, "a message that was on its way was cut off"
