"""Transports that fail as a whole: closed, probed, drained, parked, paused; and what becomes of the mail meanwhile."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness.client import message, send
from harness.daemon import DeadPort, smarthost, until
from harness.sink import Sink

HOUR = 3600 * 1000


def set_clock(f, ms):
    with open(f, "r+" if f.exists() else "w") as out:
        out.write(f"{ms:<30}")


def put(d, name, sender="from@here.test"):
    assert send(d.port, sender, [f"{name}@there.test"], message(name))[0] == 250


def transport(d, name="up"):
    return next(t for t in d.relayctl_json("status")["transports"] if t["name"] == name)


def account(d, name):
    return next(a for a in d.relayctl_json("status")["accounts"] if a["name"] == name)


def state(d, name="up"):
    return transport(d, name)["state"]


def attempts(d, to):
    found = d.queue("--to", f"{to}@there.test")
    return found[0]["attempts"] if found else None


def done(d, *args):
    r = d.relayctl(*args)
    assert r.returncode == 0, r.stdout + r.stderr


# ---- a next hop that is away

def test_a_dead_smarthost_is_asked_little_and_gets_all_when_it_is_back(daemon):
    dead = DeadPort()
    d = daemon("retry 1h\nprobe 300ms 1s\nexpire 30d\n" + smarthost(dead.port))
    for i in range(60):
        put(d, f"m{i}")
    assert until(lambda: state(d) == "unreachable")
    assert all(m["attempts"] == 1 and m["transport"] == "up" and "refused" in m["recipients"][0]["last_reply"] for m in d.queue())
    told = transport(d)
    assert "refused" in told["why"] and told["next_probe"] and told["waiting"] == 60
    tried = len(d.events("delivery", status="deferred", relay="none"))
    assert tried == 60      # each once, and few of them by a connection
    assert len(d.events("lane", state="unreachable")) >= 1 and d.events("lane", state="unreachable")[0]["text"]
    s = Sink(port=dead.release())
    try:
        assert until(lambda: len(s.messages) == 60, 10), len(s.messages)
        assert d.wait_empty() and state(d) == "ok"
        assert len(s.ids()) == 60 and set(s.ids().values()) == {1}
        assert d.relayctl("queue", "verify").returncode == 0
    finally:
        s.stop()


def test_a_killed_daemon_does_not_forget_that_a_transport_is_closed(daemon):
    dead = DeadPort()
    d = daemon("retry 1h\nprobe 1h\n" + smarthost(dead.port))
    put(d, "a")
    assert until(lambda: state(d) == "unreachable")
    put(d, "later")     # its 250 says that what was written before is on disk, too
    d.kill()
    s = Sink(port=dead.release())
    try:
        d.start()
        assert state(d) == "unreachable"
        put(d, "b")
        assert until(lambda: attempts(d, "b") == 1)
        assert not s.sessions
        done(d, "transport", "resume", "up")
        assert until(lambda: len(s.messages) == 3)
        assert d.wait_empty() and state(d) == "ok"
    finally:
        s.stop()


def test_a_kill_in_the_middle_of_a_drain_sends_the_rest_at_once(daemon):
    dead = DeadPort()
    d = daemon("retry 1h\nprobe 500ms\n" + smarthost(dead.port, "connections 1"))
    for i in range(30):
        put(d, f"m{i}")
    assert until(lambda: state(d) == "unreachable")
    s = Sink(lambda stage, *_: (0.1, None) if stage == "body" else None, port=dead.release())
    try:
        assert until(lambda: len(s.messages) >= 5, 10)
        d.kill()
        before = len(s.messages)
        assert before < 25
        s.script = None
        d.start()
        # what was in flight comes back a little later
        assert until(lambda: len(s.ids()) == 30, 15), len(s.ids())
        assert d.wait_empty()
        assert sum(s.ids().values()) - 30 <= 3
    finally:
        s.stop()


def test_the_next_transport_takes_over_at_once(daemon, sink):
    dead, spare = DeadPort(), sink()
    d = daemon("retry 1h\nprobe 1h\nroute via up spare\n"
               f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\ntransport spare {{ smarthost 127.0.0.1:{spare.port} }}\n")
    for i in range(10):
        put(d, f"m{i}")
    assert until(lambda: len(spare.messages) == 10)
    assert d.wait_empty()
    assert state(d) == "unreachable" and state(d, "spare") == "ok"
    # once it was known nobody asked it again
    assert len(d.events("unusable")) <= 5


def test_expire_max_ends_what_a_closed_transport_keeps(daemon, sink):
    dead = DeadPort()
    box = sink()
    d = daemon("retry 500ms\nprobe 1h\nexpire 1s\nexpire-max 4s\nwarn-after off\nbounce-to sender\nroute to from@here.test via box\n"
               f"transport box {{ smarthost 127.0.0.1:{box.port} }}\n" + smarthost(dead.port))
    put(d, "a")
    assert until(lambda: state(d) == "unreachable")
    assert until(lambda: attempts(d, "a") and attempts(d, "a") >= 5, 5), "given up by `expire`"
    assert until(lambda: box.to("from@here.test"), 10)
    assert b"5.4.7" in box.to("from@here.test")[0].data
    assert d.wait_empty()


# ---- attempts 3 via backup

@pytest.mark.parametrize("how", ["refusing", "unreachable", "paused", "parked"])
def test_each_message_moves_at_its_fourth_due_time(daemon, sink, ca, how):
    """Over a kill, a restart and a reload."""
    spare, dead = sink(), DeadPort()
    up = sink(lambda stage, *_: "450 4.2.0 not now" if stage == "mail" else None) if how == "refusing" else \
        sink(tls=ca.server("localhost"), users={"joe": "other"}) if how == "parked" else None
    where = f"submission localhost:{up.port}; tls-ca {ca.file}; username joe; password wrong" if how == "parked" else \
        f"smarthost 127.0.0.1:{up.port if up else dead.port}"
    d = daemon("retry 1h\nprobe 1h\nexpire 30d\nwarn-after off\nroute attempts 3 via spare\nroute via up\n"
               f"transport up {{ {where} }}\ntransport spare {{ smarthost 127.0.0.1:{spare.port} }}\n", start=False)
    clock = d.dir / "clock"
    set_clock(clock, 0)
    d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(clock)
    d.start()
    if how == "paused":
        done(d, "transport", "pause", "up")
    names = [f"m{i}" for i in range(5)]
    for n in names:
        put(d, n)
    for k in (1, 2, 3):
        # what is about to leave when a reload comes has not begun, and begins again
        assert until(lambda: all(attempts(d, n) == k for n in names) and all(m["status"] == "deferred" for m in d.queue())), \
            (k, [attempts(d, n) for n in names])
        assert not spare.messages
        if k == 1:
            d.kill()
            d.start()
        elif k == 2:
            d.signal(signal.SIGHUP)
            assert until(lambda: "new configuration in place" in d.log)
        else:
            d.restart()
        assert [attempts(d, n) for n in names] == [k] * 5
        set_clock(clock, k * 2 * HOUR)
    assert until(lambda: len(spare.messages) == 5, 10)
    assert d.wait_empty()
    if up and how == "refusing":
        assert len([c for x in up.sessions for c in x.commands if c.startswith("MAIL")]) == 15


# ---- credentials

def submission(s, ca, extra=""):
    return f"transport up {{\nsubmission localhost:{s.port}\ntls-ca {ca.file}\nusername joe\npassword file {{dir}}/pw\n}}\nroute via up\n" + extra


def with_password(d, text):
    (d.dir / "pw").write_text(text + "\n")
    (d.dir / "pw").chmod(0o600)


@pytest.mark.parametrize("mended", ["resume", "file", "reload"])
def test_a_refused_credential_is_tried_when_a_human_has_mended_it(daemon, sink, ca, mended):
    s = sink(tls=ca.server("localhost"), users={"joe": "right"})
    d = daemon(submission(s, ca, "retry 1h\nprobe-auth 1h\nexpire 1s\n"), start=False)
    with_password(d, "wrong")
    d.start()
    for i in range(5):
        put(d, f"m{i}")
    assert until(lambda: state(d) == "parked")
    assert "535" in transport(d)["why"]
    # it was shown once, whatever waits
    assert len([c for x in s.sessions for c in x.commands if c.startswith("AUTH")]) == 1
    assert d.relayctl("queue", "retry", "--all").returncode in (0, 1)
    assert len([c for x in s.sessions for c in x.commands if c.startswith("AUTH")]) == 1
    if mended == "resume":
        s.users["joe"] = "wrong"
        done(d, "transport", "resume", "up")
    else:
        with_password(d, "right")
        if mended == "reload":
            d.signal(signal.SIGHUP)
    assert until(lambda: len(s.messages) == 5, 15)
    assert d.wait_empty() and state(d) == "ok"
    assert not d.events("delivery", status="bounced") and not d.events("delivery", status="expired")
    assert "wrong" not in d.log and "right" not in re.sub(r"copyright", "", d.log)


def test_an_account_is_resumed_by_its_name(daemon, sink, ca):
    s = sink(tls=ca.server("localhost"), users={"joe": "right"})
    d = daemon(f"retry 1h\nprobe-auth 1h\naccount own {{ senders here.test; submission localhost:{s.port}; tls-ca {ca.file}; "
               "username joe; password pass }\n")
    put(d, "a")
    assert until(lambda: account(d, "own")["state"] == "parked")
    s.users["joe"] = "pass"
    done(d, "account", "resume", "own")
    assert until(lambda: s.messages)
    assert d.wait_empty() and account(d, "own")["state"] == "ok"


# ---- pause

def test_a_pause_lasts_until_resume(daemon, sink):
    s = sink()
    d = daemon("retry 1h\n" + smarthost(s.port))
    done(d, "transport", "pause", "up")
    put(d, "a")
    assert state(d) == "paused" and until(lambda: attempts(d, "a") == 1)
    d.kill()
    d.start()
    put(d, "b")
    assert state(d) == "paused" and not s.messages
    done(d, "transport", "resume", "up")
    assert until(lambda: len(s.messages) == 2)
    assert d.wait_empty() and state(d) == "ok"


def test_a_paused_account_holds_its_own_mail_alone(daemon, sink):
    s = sink()
    d = daemon("retry 1h\naccount one { senders one.test }\naccount two { senders two.test }\n" + smarthost(s.port))
    done(d, "account", "pause", "one")
    put(d, "a", "x@one.test")
    put(d, "b", "x@two.test")
    assert until(lambda: s.to("b@there.test"))
    assert not s.to("a@there.test") and account(d, "one")["state"] == "paused"
    d.restart()
    assert account(d, "one")["state"] == "paused" and account(d, "two")["state"] == "ok"
    done(d, "account", "resume", "one")
    assert until(lambda: s.to("a@there.test"))
    assert d.wait_empty()


# ---- no network

needs_namespace = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare") or subprocess.run(
    ["unshare", "-n", "true"], capture_output=True).returncode != 0, reason="wants a network namespace")


@needs_namespace
def test_without_a_network_nothing_is_counted(daemon):
    d = daemon("retry 1h\nprobe 200ms\nexpire 1s\nroute via up\ntransport up { smarthost 192.0.2.1:25 }\n"
               "listen 127.0.0.1:{port} { allow 127.0.0.0/8 }\n",
               prefix=("unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"))
    for i in range(3):
        assert d.sendmail("-i", "-f", "from@here.test", f"m{i}@there.test", input=f"Subject: {i}\n\nhello\n").returncode == 0
    assert d.wait_event("offline")
    assert until(lambda: len(d.queue()) == 3)
    assert "network" in transport(d)["why"]
    assert [m["attempts"] for m in d.queue()] == [0, 0, 0]
    queue = d.role("queue")[0]
    subprocess.run(["nsenter", "-t", str(queue), "-n", "ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)
    # there is a network again, though nobody is at home
    assert d.wait_event("online")
    assert until(lambda: state(d) == "unreachable" and "refused" in transport(d)["why"])
    assert until(lambda: [m["attempts"] for m in d.queue()] == [1, 1, 1])
