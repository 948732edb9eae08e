"""`relayctl transport test`: each step with a next hop, told to a human, with no secret in it."""
import base64
import json
import re

import pytest

from harness.daemon import DeadPort
from harness.sink import DROP
from test_dane import World as Signed
from test_dane import spki
from test_direct import HOSTS, World

SECRET = "pa ss-W:1%="


@pytest.fixture
def trial(daemon, sink, ca):
    """trial(script, statements) -> (the daemon, its next hop, a function that runs the test)."""
    def make(script=None, statements="", users={"me@there.test": SECRET}, tls=True, kind="submission", login=True, **kw):
        s = sink(script, tls=ca.server("localhost") if tls else None, users=users, **kw)
        secret = f'username me@there.test\n  password "{SECRET}"' if login else ""
        d = daemon(f"transport up {{\n  {kind} localhost:{s.port}\n  tls-ca {ca.file}\n  {secret}\n  {statements}\n}}\nroute via up\n")

        def run(*args, status=0):
            r = d.relayctl("transport", "test", "up", *args)
            assert r.returncode == status, r.stdout + r.stderr
            for text in (r.stdout, r.stderr, d.log):
                assert SECRET not in text and base64.b64encode(f"\0me@there.test\0{SECRET}".encode()).decode() not in text
            return r.stdout

        def steps(*args):
            doc = d.relayctl_json("transport", "test", "up", *args)
            assert set(doc) >= {"name", "ok", "steps"} and doc["name"] == "up"
            return doc["ok"], [(x["name"], x["ok"]) for x in doc["steps"]], doc["steps"]
        run.daemon, run.sink, run.steps = d, s, steps
        return run
    return make


def test_a_server_that_works(trial):
    run = trial()
    ok, names, steps = run.steps()
    assert ok and names == [("connect", True), ("greeting", True), ("ehlo", True), ("tls", True), ("ehlo", True), ("auth", True)]
    assert re.search(r"TLSv1\.3 .*certificate: verified; for localhost, issued by .*, until \d{4}-\d\d-\d\d, SHA-256 [0-9a-f]{64}", steps[3]["text"])
    text = run()
    for line in (r"C: EHLO ", r"S: 220 ", r"C: STARTTLS", r"C: AUTH \S+ \[hidden\]", r"S: 235 ", r"C: QUIT", r"transport up: works"):
        assert re.search(rf"(?m)^{line}", text), text
    assert run.sink.sessions and not run.sink.messages


def test_with_a_recipient_it_goes_as_far_as_rcpt(trial):
    run = trial()
    ok, names, _ = run.steps("--to", "you@there.test")
    assert ok and names[-3:] == [("mail", True), ("rcpt", True), ("rset", True)]
    said = [c.split(" ")[0].upper() for c in run.sink.sessions[-1].commands]
    assert "RCPT" in said and "DATA" not in said and "BDAT" not in said
    assert any("me@there.test" in c for c in run.sink.sessions[-1].commands if c.upper().startswith("MAIL")), "the login's own address"


def test_send_sends_a_message(trial):
    run = trial()
    ok, names, _ = run.steps("--to", "you@there.test", "--send")
    assert ok and names[-1] == ("message", True)
    m, = run.sink.messages
    assert m.rcpts == ["you@there.test"] and b"\r\nSubject: smarthostd: test of transport up\r\n" in m.data


@pytest.mark.parametrize("stage,reply,step,advice", [
    ("connect", "554 5.7.1 go away", "greeting", None),
    ("ehlo", "550 5.7.1 no", "ehlo", None),
    ("mail", "554 5.2.252 SendAsDenied; me@there.test not allowed", "mail", "Send As"),
    ("rcpt", "550 5.1.1 no such user", "rcpt", None),
    ("data", "554 5.7.1 no", "message", None),
    ("body", "550 5.4.5 Daily user sending limit exceeded.", "message", "quota"),
])
def test_the_step_that_is_refused_is_named(trial, stage, reply, step, advice):
    run = trial(lambda at, s, arg: reply if at == stage else None)
    r = run("--to", "you@there.test", "--send", status=1)
    assert re.search(rf"(?m)^FAILED +{step} +.*{re.escape(reply[:3])}", r), r
    assert "transport up: does not work" in r and (advice is None or advice in r)


def test_a_refused_login_says_what_to_do(trial):
    run = trial(users={"me@there.test": "another"})
    r = run("--to", "you@there.test", status=1)
    assert re.search(r"(?m)^FAILED +auth +AUTH refused: 535", r) and "check `username` and the password" in r
    assert not re.search(r"(?m)^C: MAIL", r)


def test_a_certificate_for_another_name(trial):
    run = trial(statements="tls-name other.test")
    r = run(status=1)
    assert re.search(r"(?m)^FAILED +tls +.*handshake failed", r) and "tls-name" in r


def test_tls_that_is_not_offered(trial):
    r = trial(tls=False)(status=1)
    assert re.search(r"(?m)^FAILED +ehlo +TLS is required", r)


def test_nobody_listens_and_the_next_host_is_taken(daemon, sink):
    s = sink()
    dead = DeadPort()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{dead.port} 127.0.0.1:{s.port} }}\n"
               f"transport alone {{ smarthost 127.0.0.1:{dead.port} }}\nroute via up\n")
    doc = d.relayctl_json("transport", "test", "up")
    assert doc["ok"] and [x["ok"] for x in doc["steps"]][:2] == [False, True]
    r = d.relayctl("transport", "test", "alone")
    assert r.returncode == 1 and re.search(r"(?m)^FAILED +connect .*Connection refused", r.stdout) and "check host and port" in r.stdout


def test_a_server_that_closes(trial):
    run = trial(lambda at, s, arg: DROP if at == "mail" else None)
    assert re.search(r"(?m)^FAILED +mail +", run("--to", "you@there.test", status=1))


def test_what_cannot_be_tested(daemon):
    d = daemon("transport bin { discard }\ntransport up { smarthost 127.0.0.1:9 }\nroute via bin\n")
    for args, status, text in ((["nothere"], 1, "there is no transport"), (["bin"], 1, "no server"), (["up", "--send"], 64, "--to"),
                               (["up", "--to", "nonsense"], 64, "no address"), ([], 64, "")):
        r = d.relayctl("transport", "test", *args)
        assert (r.returncode, r.stdout) == (status, "") and text in r.stderr, (args, r)


# next hops that are looked up

@pytest.fixture
def world(daemon, sink, names):
    return World(daemon, sink, names)


def trial_of(d, *args, status=0):
    r = d.relayctl("transport", "test", *args)
    assert r.returncode == status, r.stdout + r.stderr
    doc = json.loads(d.relayctl("transport", "test", *args, "--json").stdout)
    doc = doc[0] if isinstance(doc, list) else doc
    return [(s["name"], s["ok"]) for s in doc["steps"]], doc["steps"], r.stdout


def test_direct_goes_where_the_domains_mail_goes(world):
    world.serve("b")
    world.mx("there.test", "20 b", "10 a")
    d = world.start()
    names, steps, text = trial_of(d, "mx", "--to", "u@there.test")
    assert names[:4] == [("mx", True), ("connect", False), ("connect", True), ("greeting", True)] and names[-2:] == [("rcpt", True), ("rset", True)]
    assert steps[0]["text"] == "a.mx.test;b.mx.test" and "b.mx.test[127.0.0.12]" in steps[2]["text"]
    assert "transport mx: works" in text and not world.up["b"].messages
    trial_of(d, "mx", "--to", "u@there.test", "--send")
    assert len(world.up["b"].to("u@there.test")) == 2
    assert d.relayctl_json("queue", "list") == []


def test_direct_needs_a_recipient_and_names_that_can_be_resolved(world):
    world.names.add("null.test", "MX", "0 .")
    world.names.rule("bad.test", "servfail")
    d = world.start()
    names, steps, _ = trial_of(d, "mx", status=1)
    assert names == [("mx", False)] and "--to" in steps[0]["text"]
    for to, said in (("u@null.test", "null MX"), ("u@bad.test", "MX lookup failed"), ("u@nothing.test", "does not exist")):
        names, steps, _ = trial_of(d, "mx", "--to", to, status=1)
        assert names == [("mx", False)] and said in steps[0]["text"], steps


# through proxies

@pytest.mark.parametrize("said,declared,known", [
    ("250 sink.test Hello relay.test [127.0.0.1]", "127.0.0.1", True),
    ("250-sink.test Hello [relay.test] [192.0.2.77]\r\n250 8BITMIME", "127.0.0.1", False),
    ("250 sink.test [IPv6:2001:DB8::1]", "2001:db8::1", True),
    ("250 sink.test [2001:db8::2], pleased", "2001:db8::1", False),
    ("250 sink.test [", "127.0.0.1", None),
    ("250 sink.test [nobody]", "127.0.0.1", None),
])
def test_it_tells_from_where_the_world_sees_us(daemon, sink, proxy, said, declared, known):
    s, p = sink(lambda at, session, arg: said if at == "ehlo" else None), proxy()
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port}; tls off; socks5 {p.address} {{ remote-address {declared}; "
               "remote-hostname out.example.test } }\nroute via up\n")
    names, steps, text = trial_of(d, "up")
    egress = [x for x in steps if x["name"] == "egress"]
    assert [x["ok"] for x in egress] == ([] if known is None else [known])
    assert known is not False or "`remote-address`" in egress[0]["text"] and "remote-address" in text
    assert s.sessions[0].helo == "out.example.test" and p.wanted, "by the proxy, under its name"


def test_without_a_proxy_nobody_is_warned(daemon, sink):
    s = sink(lambda at, session, arg: "250 sink.test Hello [192.0.2.77]" if at == "ehlo" else None)
    d = daemon(f"transport up {{ smarthost 127.0.0.1:{s.port}; tls off }}\nroute via up\n")
    assert "egress" not in [n for n, _ in trial_of(d, "up")[0]]


def test_direct_by_a_proxy_and_proxies_that_are_dead(world, proxy):
    world.serve("a")
    world.mx("there.test", "a")
    p = proxy()
    d = world.start(block=f"socks5 {p.address}")
    assert ("connect", True) in trial_of(d, "mx", "--to", "u@there.test")[0]
    assert p.wanted[0] == (HOSTS["a"], world.port)
    p.stop()
    names, steps, _ = trial_of(d, "mx", "--to", "u@there.test", status=1)
    assert ("proxy", False) in names and str(p.port) in steps[-1]["text"]


# DANE

@pytest.mark.parametrize("fits", [True, False, None])
def test_records_that_dns_vouches_for_are_looked_at(daemon, sink, names, ca, fits):
    ca.pair = ca.cert("a.signed.test")
    world = Signed(daemon, sink, names, ca)
    up = world.serve()
    if fits is not None:
        world.tlsa(3, 1, 1, spki(ca.pair[0]) if fits else "00" * 32)
    world.start("tls-verify dane")
    steps, told, _ = trial_of(world.d, "t", "--to", "u@signed.test", status=0 if fits else 1)
    assert ("dane", fits is not None) in steps
    assert (("tls", True) in steps) == (fits is True), told
    assert fits is not None or "TLSA" in told[-1]["text"]
    assert not up.messages
