"""relayctl against a daemon, and without one: exit statuses, JSON, selectors, actions."""
import json
import os
import re
import subprocess

import pytest

from harness.client import message, send
from harness.daemon import BIN, DeadPort, smarthost, until

MESSAGE = {"id", "status", "from", "account", "login", "client", "size", "arrived", "expires", "attempts", "next_attempt", "transport", "pinned", "route",
           "recipients"}
RCPT = {"address", "status", "attempts", "last_reply", "remote"}


@pytest.fixture
def waiting(daemon, sink):
    """A daemon with four messages that wait for a server that is down."""
    dead = DeadPort()
    d = daemon("retry 1h\nwarn-after off\n" + smarthost(dead.port))
    d.dead, d.make_sink = dead, lambda: sink(port=dead.release())
    d.ids = []
    for i, (sender, rcpts, n) in enumerate([("a@one.test", ["x@there.test"], 1), ("b@one.test", ["y@there.test"], 1), ("a@two.test", ["x@other.test"], 5000),
                                            ("c@three.test", ["x@there.test", "z@other.test"], 1)]):
        d.ids.append(send(d.port, sender, rcpts, message(f"m{i}", body=b"x" * 70 + b"\r\n" * n))[1].split()[-1])
    assert until(lambda: [m["attempts"] for m in d.queue()] == [1] * 4, 10)
    return d


def listed(d, *selectors):
    return [d.ids.index(m["id"]) for m in d.queue(*selectors)]


def test_the_list_and_its_keys(waiting):
    d = waiting
    ms = d.queue()
    assert [m["id"] for m in ms] == d.ids == sorted(d.ids), "by arrival"
    assert all(m.keys() >= MESSAGE and all(r.keys() >= RCPT for r in m["recipients"]) for m in ms)
    m = ms[3]
    assert m["status"] == "deferred" and m["from"] == "c@three.test" and m["client"] == "127.0.0.1" and m["transport"] == "up" and m["pinned"] is False
    assert m["account"] is None and m["login"] is None and re.fullmatch(r".*smarthostd\.conf:\d+", m["route"])
    assert [r["address"] for r in m["recipients"]] == ["x@there.test", "z@other.test"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", m[k]) for k in ("arrived", "expires", "next_attempt"))
    text = d.relayctl("queue", "list")
    assert text.returncode == 0 and all(i in text.stdout for i in d.ids)


@pytest.mark.parametrize("selectors,want", [
    (["--from", "@one.test"], [0, 1]), (["--from", "a@one.test"], [0]), (["--to", "@other.test"], [2, 3]), (["--from", "@one.test", "--to", "y@there.test"], [1]),
    (["--larger", "5K"], [2]), (["--status", "deferred"], [0, 1, 2, 3]), (["--status", "held"], []), (["--limit", "2"], [0, 1]), (["--transport", "up"], [0, 1, 2, 3]),
    (["--transport", "nothing"], []), (["--older", "1h"], [])], ids=lambda x: " ".join(map(str, x)))
def test_selectors(waiting, selectors, want):
    assert listed(waiting, *selectors) == want


def test_hold_release_and_remove(waiting):
    d = waiting
    assert d.relayctl("queue", "hold", "--from", "@one.test").returncode == 0
    assert listed(d, "--status", "held") == [0, 1]
    s = d.make_sink()
    assert d.relayctl("queue", "retry", "--all").returncode == 0
    assert until(lambda: len(s.messages) == 2, 10)
    assert until(lambda: listed(d) == [0, 1], 5)
    assert d.relayctl("queue", "remove", d.ids[0]).returncode == 0
    assert listed(d) == [1]
    assert d.relayctl("queue", "release", d.ids[1]).returncode == 0
    assert until(lambda: ("m1", "y@there.test") in s.ids(), 10)
    assert d.wait_empty(5) and len(s.messages) == 3


def test_hold_survives_a_restart(waiting):
    d = waiting
    assert d.relayctl("queue", "hold", d.ids[2]).returncode == 0
    d.restart()
    assert listed(d, "--status", "held") == [2] and listed(d) == [0, 1, 2, 3]


def test_bounce_tells_the_sender(waiting):
    d = waiting
    s = d.make_sink()
    d.conf.write_text("bounce-to sender\npostmaster pm@there.test\n" + d.conf.read_text())
    d.restart()
    assert d.relayctl("queue", "bounce", d.ids[0]).returncode == 0
    assert until(lambda: s.to("a@one.test"), 10) and s.to("a@one.test")[0].mail_from == ""


def test_show(waiting):
    d = waiting
    m = d.relayctl_json("queue", "show", d.ids[3])
    assert (m[0] if isinstance(m, list) else m)["id"] == d.ids[3]
    assert d.relayctl("queue", "show", d.ids[3]).returncode == 0
    head = d.relayctl("queue", "show", d.ids[3], "--headers").stdout
    assert head.startswith("Received: ") and "X-Test-Id: m3" in head and "xxx" not in head
    r = subprocess.run([BIN / "relayctl", "-f", d.conf, "queue", "show", d.ids[3], "--content"], capture_output=True, timeout=20)
    assert r.stdout.endswith(message("m3", body=b"x" * 70 + b"\r\n"))


@pytest.mark.parametrize("command,status", [
    ("queue retry NONESUCH", 1), ("queue remove --from nobody@nowhere.test", 1), ("queue show NONESUCH", 1), ("queue", 64), ("nonsense", 64), ("queue nonsense", 64),
    ("queue list --nonsense", 64), ("queue remove", 64), ("", 64), ("queue list --status sometimes", 64), ("queue verify", 0), ("status", 0), ("--version", 0),
    ("--help", 0), ("queue list --from @nowhere.test", 0), ("config check", 0)])
def test_exit_statuses(waiting, command, status):
    r = waiting.relayctl(*command.split())
    assert r.returncode == status, r.stdout + r.stderr
    if status:
        assert r.stderr.startswith("relayctl: ") or "usage" in r.stderr


def test_verify_is_clean(waiting):
    r = waiting.relayctl("queue", "verify")
    assert r.returncode == 0, r.stdout + r.stderr
    assert until(lambda: waiting.queue() and waiting.relayctl("queue", "verify", "--json").returncode == 0, 3)


def test_history_tells_of_what_was_delivered(waiting):
    d = waiting
    s = d.make_sink()
    d.relayctl("queue", "retry", "--all")
    assert until(lambda: len(s.messages) == 4, 10)
    assert until(lambda: len(d.relayctl_json("history")) == 4, 5)
    h = next(h for h in d.relayctl_json("history") if h["id"] == d.ids[0])
    r, = h["recipients"]
    assert h.keys() >= MESSAGE - {"next_attempt"} and r.keys() >= RCPT | {"delivered_at", "tls"} and r["status"] == "delivered" and "250" in r["last_reply"]
    d.stop()
    assert len(d.relayctl_json("history")) == 4, "without a daemon too"


def test_without_a_daemon(waiting):
    d = waiting
    d.stop()
    assert [m["id"] for m in d.queue()] == d.ids
    assert d.relayctl("queue", "show", d.ids[0]).returncode == 0
    for command in ("status", "queue retry --all", "queue remove --all"):
        r = d.relayctl(*command.split())
        assert r.returncode == 69 and r.stderr.startswith("relayctl: "), command
    d.start()
    assert [m["id"] for m in d.queue()] == d.ids


def test_config_show_check_and_test(waiting, tmp_path):
    d = waiting
    shown = d.relayctl("config", "show")
    assert shown.returncode == 0 and "smarthost 127.0.0.1" in shown.stdout
    again = tmp_path / "shown.conf"
    again.write_text(shown.stdout)
    r = subprocess.run([BIN / "relayctl", "config", "check", again], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r.stderr + shown.stdout
    bad = tmp_path / "bad.conf"
    bad.write_text("nonsense\n")
    r = subprocess.run([BIN / "relayctl", "config", "check", bad], capture_output=True, text=True, timeout=20)
    assert r.returncode == 78 and "bad.conf:1:" in r.stderr
    expect = d.conf.with_name(d.conf.name + ".expect")
    expect.write_text("expect from=a@one.test to=b@there.test -> up\n")
    assert d.relayctl("config", "test").returncode == 0
    expect.write_text("expect from=a@one.test to=b@there.test -> down\n")
    assert d.relayctl("config", "test").returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_others_may_not_touch_what_is_not_theirs(waiting):
    d = waiting
    d.sendmail("-f", "games@relay.test", "own@there.test", input="Subject: x\n\n")

    def games(*args):
        return subprocess.run([BIN / "relayctl", "-s", d.run / "control.sock", *args], capture_output=True, text=True, timeout=20, user="games", group="games",
                              extra_groups=[], cwd="/")
    assert games("queue", "remove", d.ids[0]).returncode == 77
    r = games("queue", "list", "--json")
    assert r.returncode == 0 and json.loads(r.stdout) == []
    assert games("queue", "show", d.ids[0]).returncode in (1, 77)
    assert games("queue", "remove", "--all").returncode in (1, 77)
    assert d.queue() and {m["id"] for m in d.queue()} >= set(d.ids)


def test_why_tells_what_happens(waiting):
    d = waiting
    r = d.relayctl("why", d.ids[0])
    assert r.returncode == 0 and "up" in r.stdout and "x@there.test" in r.stdout
    assert d.relayctl("why", "last").returncode == 0
    w = d.relayctl_json("why", "--if", "from=a@one.test", "to=b@there.test")
    assert w["transport"] == "up" and w["transports"] == ["up"] and re.search(r":\d+$", w["route"]) and w["port"] == d.dead.port
