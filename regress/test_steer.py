"""Pause, resume, list, status and why: what waits for what, and what somebody must do."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness.ca import CA
from harness.client import message, send
from harness.daemon import BIN, DeadPort, until

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TRANSPORT = {"name", "state", "why", "next_probe", "window", "waiting", "last_error"}
ACCOUNT = {"name", "state", "why", "waiting"}


def entry(d, kind, name):
    return next(o for o in d.relayctl_json("status")[kind] if o["name"] == name)


def state(d, kind, name):
    return entry(d, kind, name)["state"]


@pytest.fixture
def two(daemon, sink):
    """A daemon with two ways out and two accounts."""
    up, other = sink(), sink()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{up.port} }}\ntransport other {{ smarthost 127.0.0.1:{other.port} }}\n"
               "account scans { senders @scan.test }\naccount rest { default }\n"
               "route to two.test via up other\nroute via up\nretry 1h\nprobe 1h\nwarn-after off\n")
    d.up, d.other = up, other
    return d


def give(d, ident, sender="a@here.test", to="x@there.test"):
    code, text = send(d.port, sender, [to], message(ident))
    assert code == 250
    return text.split()[-1]


def test_status_has_its_keys(two):
    doc = two.relayctl_json("status")
    assert [t["name"] for t in doc["transports"]] == ["up", "other"] and [a["name"] for a in doc["accounts"]] == ["scans", "rest"]
    for t in doc["transports"]:
        assert t.keys() >= TRANSPORT and t["state"] == "ok" and t["why"] is None and t["next_probe"] is None and t["last_error"] is None and t["waiting"] == 0
        assert t["window"] >= 1
    for a in doc["accounts"]:
        assert a.keys() >= ACCOUNT and a["state"] == "ok" and a["why"] is None
    assert two.relayctl_json("transport", "list") == doc["transports"] and two.relayctl_json("account", "list") == doc["accounts"]


def test_a_paused_transport_keeps_its_mail_until_resume(two):
    d = two
    r = d.relayctl("transport", "pause", "up")
    assert r.returncode == 0 and "up is paused" in r.stdout and r.stderr == ""
    i = give(d, "m1")
    assert until(lambda: entry(d, "transports", "up")["waiting"] == 1)
    t = entry(d, "transports", "up")
    assert t["state"] == "paused" and t["why"] and t["next_probe"] is None
    d.restart()
    assert state(d, "transports", "up") == "paused", "over a restart"
    assert d.up.messages == []
    why = d.relayctl("why", i)
    assert re.search(r"(?m)^Waits for +transport up is paused since ", why.stdout), why.stdout
    assert re.search(r"(?m)^Next +nothing until `relayctl transport resume up`", why.stdout) and re.search(r"(?m)^To do +`relayctl transport resume up`", why.stdout)
    doc = d.relayctl_json("why", i)
    assert "up is paused" in doc["waits_for"] and "resume up" in doc["next"] and "resume up" in doc["to_do"]
    r = d.relayctl("transport", "resume", "up")
    assert r.returncode == 0 and "up" in r.stdout
    assert until(lambda: d.up.ids() == {("m1", "x@there.test"): 1})
    assert state(d, "transports", "up") == "ok" and d.wait_empty(5)


def test_a_paused_transport_hands_on_to_the_next_of_its_route(two):
    d = two
    assert d.relayctl("transport", "pause", "up").returncode == 0
    give(d, "m1", to="x@two.test")
    assert until(lambda: d.other.ids() == {("m1", "x@two.test"): 1})
    assert d.wait_empty(5) and d.up.messages == []


def test_a_paused_account_keeps_its_mail_and_nobody_elses(two):
    d = two
    r = d.relayctl("account", "pause", "scans")
    assert r.returncode == 0 and "scans is paused" in r.stdout
    i = give(d, "m1", sender="a@scan.test")
    give(d, "m2")
    assert until(lambda: d.up.ids() == {("m2", "x@there.test"): 1})
    a = entry(d, "accounts", "scans")
    assert a["state"] == "paused" and a["why"] and state(d, "accounts", "rest") == "ok" and state(d, "transports", "up") == "ok"
    d.restart()
    assert state(d, "accounts", "scans") == "paused"
    assert "account scans is paused" in d.relayctl_json("why", i)["waits_for"] and "relayctl account resume scans" in d.relayctl("why", i).stdout
    assert d.relayctl("account", "resume", "scans").returncode == 0
    assert until(lambda: ("m1", "x@there.test") in d.up.ids())
    assert state(d, "accounts", "scans") == "ok" and d.wait_empty(5)


def test_what_was_paused_can_be_resumed_when_it_is_gone_from_the_configuration(two):
    d = two
    assert d.relayctl("transport", "pause", "up").returncode == 0 and d.relayctl("account", "pause", "scans").returncode == 0
    give(d, "m1")
    give(d, "m2", sender="a@scan.test", to="x@two.test")
    assert until(lambda: entry(d, "transports", "up")["waiting"] == 1)
    text = re.sub(r"(transport up|account scans) .*\n", "", d.conf.read_text())
    d.conf.write_text(text.replace("via up other", "via other").replace("via up", "via other"))
    d.signal(signal.SIGHUP)
    assert until(lambda: not entry(d, "transports", "up")["configured"])
    for kind, name in (("transport", "up"), ("account", "scans")):
        r = d.relayctl(kind, "resume", name)
        assert r.returncode == 0 and name in r.stdout, r.stderr
    assert entry(d, "transports", "up")["state"] == "ok"
    assert d.relayctl("queue", "retry", "--all").returncode == 0
    assert until(lambda: d.other.ids() == {("m1", "x@there.test"): 1, ("m2", "x@two.test"): 1})
    assert d.wait_empty(5)
    assert d.relayctl("transport", "resume", "up").returncode == 1 == d.relayctl("account", "resume", "scans").returncode


def test_pause_and_resume_may_be_said_twice(two):
    d = two
    for command, name in (("transport", "up"), ("account", "scans")):
        for verb, again in (("resume", "was neither"), ("pause", None), ("pause", "already"), ("resume", None), ("resume", "was neither")):
            r = d.relayctl(command, verb, name)
            assert r.returncode == 0 and (again is None or again in r.stdout), r.stdout + r.stderr


@pytest.mark.parametrize("words, status, said", [
    ("transport pause nosuch", 1, "there is no transport `nosuch`"), ("transport resume nosuch", 1, "there is no transport `nosuch`"),
    ("account pause nosuch", 1, "there is no account `nosuch`"), ("account resume nosuch", 1, "there is no account `nosuch`"),
    ("transport pause", 64, "something is missing"), ("account resume a b", 64, "one word too many"), ("transport stop up", 64, "one of list, test, pause, resume"),
    ("queue move --transport nosuch --all", 1, "there is no transport `nosuch`"), ("queue move --all", 64, "--transport NAME is missing"),
    ("queue move --transport up", 64, "which messages"), ("queue move --transport up NONESUCH", 1, "no such message"),
    ("queue move --transport up --from nobody@nowhere.test", 1, "no message matches")], ids=lambda x: x if " " in str(x) else "")
def test_refusals(two, words, status, said):
    r = two.relayctl(*words.split())
    assert r.returncode == status and said in r.stderr and r.stderr.startswith("relayctl: "), r.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("words", ["transport pause up", "transport resume up", "account pause scans", "account resume scans", "transport list", "account list", "status"])
def test_others_may_not(two, words):
    r = subprocess.run([str(BIN / "relayctl"), "-s", str(two.run / "control.sock"), *words.split()], capture_output=True, text=True, user="daemon", group="daemon",
                       extra_groups=[])
    assert r.returncode == 77 and r.stderr.startswith("relayctl: only root"), r.stderr


def test_without_a_daemon(two):
    two.stop()
    for words in ("transport pause up", "transport resume up", "transport list", "account pause scans", "account resume scans", "account list", "status"):
        r = two.relayctl(*words.split())
        assert r.returncode == 69 and "not running" in r.stderr


def test_an_unreachable_transport_is_tried_at_once_by_resume(daemon, sink):
    dead = DeadPort()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{dead.port} }}\nroute via up\nretry 1h\nprobe 1h\nwarn-after off\n")
    i = give(d, "m1")
    assert until(lambda: state(d, "transports", "up") == "unreachable" and entry(d, "transports", "up")["waiting"] == 1)
    t = entry(d, "transports", "up")
    assert t["why"] and re.fullmatch(TIME, t["next_probe"]) and re.fullmatch(TIME, t["since"])
    why = d.relayctl("why", i).stdout
    assert re.search(r"(?m)^Waits for +transport up is unreachable since \d{4}-", why) and re.search(r"(?m)^Next +it is tried again in \d+m, with one message", why), why
    text = d.relayctl("status").stdout
    assert re.search(r"(?m)^up +unreachable ", text) and re.search(r"(?m)^  transport up, unreachable: .*`relayctl transport resume up`", text), text
    s = sink(port=dead.release())
    assert d.relayctl("transport", "resume", "up").returncode == 0
    assert until(lambda: s.ids() == {("m1", "x@there.test"): 1})
    assert until(lambda: state(d, "transports", "up") == "ok") and d.wait_empty(5)


@pytest.mark.parametrize("own", [True, False], ids=["an account's own", "of a transport"])
@pytest.mark.parametrize("kind", ["account", "transport"])
def test_a_parked_credential_is_tried_at_once_by_either_resume(daemon, sink, own, kind):
    ca = CA()
    s = sink(tls=ca.server("localhost"), users={"joe": "another"})
    body = f"submission localhost:{s.port}\n tls-ca {ca.file}\n username joe\n password secret\n"
    d = daemon((f"account shop {{\n default\n {body}}}\n" if own else f"transport shop {{\n {body}}}\nroute via shop\n") + "retry 1h\nprobe-auth 1h\nwarn-after off\n")
    i = give(d, "m1")
    assert until(lambda: state(d, "transports", "shop") == "parked")
    if own:
        assert state(d, "accounts", "shop") == "parked" and "535" in entry(d, "accounts", "shop")["why"]
    assert "535" in entry(d, "transports", "shop")["why"]
    why = d.relayctl("why", i).stdout
    assert re.search(rf"(?m)^To do +mend what was refused, then `relayctl {'account' if own else 'transport'} resume shop`", why), why
    assert d.queue()[0]["recipients"][0]["status"] == "deferred", "never a bounce"
    s.users["joe"] = "secret"
    assert d.relayctl(kind, "resume", "shop").returncode == 0
    assert until(lambda: s.ids() == {("m1", "x@there.test"): 1})
    assert until(lambda: state(d, "transports", "shop") == "ok") and d.wait_empty(5)
    shutil.rmtree(ca.dir)


def test_move_pins_and_auto_undoes_it(two):
    d = two
    assert d.relayctl("transport", "pause", "up").returncode == 0
    i = give(d, "m1")
    assert until(lambda: d.queue() and d.queue()[0]["status"] != "active")
    assert d.relayctl("queue", "move", "--transport", "other", i).returncode == 0
    assert until(lambda: d.other.ids() == {("m1", "x@there.test"): 1}) and d.wait_empty(5)
    assert d.relayctl("transport", "pause", "other").returncode == 0
    i = give(d, "m2")
    assert d.relayctl("queue", "move", "--transport", "other", i).returncode == 0
    assert until(lambda: d.queue(i)[0]["pinned"] is True and d.queue(i)[0]["transport"] == "other")
    assert "other is paused" in d.relayctl_json("why", i)["waits_for"]
    assert d.relayctl("queue", "move", "--transport", "auto", i).returncode == 0
    assert d.relayctl("transport", "resume", "up").returncode == 0
    assert until(lambda: d.up.ids() == {("m2", "x@there.test"): 1}) and d.wait_empty(5)


def test_the_log_tells_of_it_as_it_happens(two):
    d = two
    with subprocess.Popen([str(BIN / "relayctl"), "-f", str(d.conf), "log", "-f", "--jsonl"], stdout=subprocess.PIPE, text=True) as p:
        def line(what):
            for text in p.stdout:
                if re.search(what, text):
                    return text
        assert d.relayctl("transport", "pause", "up").returncode == 0
        # whoever follows has to be connected first; the next command is seen for certain
        assert d.relayctl("transport", "resume", "up").returncode == 0
        assert d.relayctl("transport", "pause", "other").returncode == 0
        assert line(r"paus|resume")
        p.terminate()
