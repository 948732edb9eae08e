"""Mail through SOCKS5 proxies: scripted ones, microsocks, Dante."""
import re
import shutil
import subprocess

import pytest

from harness.client import message, send
from harness.daemon import DeadPort, check, free_port, until, work_dir
from harness.socks import Proxy

DROP, HANG = Proxy.DROP, Proxy.HANG


def one(d, to="to@there.test", ident="m", body=None):
    code, text = send(d.port, "from@here.test", [to], message(ident) if body is None else body)
    assert code == 250, text


def via(sink_port, *proxies, also="", retry="1h", host="127.0.0.1", kind="smarthost"):
    blocks = "\n".join(f"socks5 {p}" for p in proxies)
    return f"retry {retry}\nwarn-after off\ntransport t {{\n{kind} {host}:{sink_port}\n{blocks}\n{also}\n}}\nroute via t\n"


def last_reply(d):
    m = until(lambda: [m for m in d.queue() if m["recipients"][0]["last_reply"]], 15)
    assert m, d.queue()
    return m[0]["recipients"][0]["last_reply"]


def test_without_a_login(daemon, sink, proxy):
    s, p = sink(), proxy()
    d = daemon(via(s.port, p.address))
    one(d)
    assert until(lambda: s.messages)
    assert p.wanted == [("127.0.0.1", s.port)]
    assert s.sessions[0].helo == "relay.test"


@pytest.mark.parametrize("word", ["secret", "file {dir}/pw"])
def test_with_a_login_that_nobody_else_sees(daemon, sink, proxy, word):
    s, p = sink(), proxy(users={"me": "tops3cret!"})
    d = daemon(via(s.port, p.address + " { username me; password " + word.replace("secret", "tops3cret!") + " }"), start=False)
    (d.dir / "pw").write_text("tops3cret!\n")
    (d.dir / "pw").chmod(0o600)
    d.start()
    one(d)
    assert until(lambda: s.messages)
    assert p.logins == ["me"]
    assert "tops3cret" not in d.log and "tops3cret" not in d.relayctl("config", "show").stdout


def test_a_login_that_is_refused_is_the_proxys_matter(daemon, sink, proxy):
    s, p = sink(), proxy(users={"me": "right"})
    d = daemon(via(s.port, p.address + " { username me; password wrong-one }"))
    one(d)
    assert f"proxy {p.address}: it refuses the login" in last_reply(d)
    assert "wrong-one" not in d.log
    assert not s.sessions


def test_a_proxy_that_wants_a_login_and_gets_none(daemon, sink, proxy):
    s, p = sink(), proxy(users={"me": "right"})
    d = daemon(via(s.port, p.address))
    one(d)
    assert f"proxy {p.address}: it wants a login" in last_reply(d)


def test_by_ipv6_to_the_proxy_and_beyond(daemon, sink, proxy):
    s, p = sink(host="::1"), proxy(host="::1")
    d = daemon(via(s.port, f"[::1]:{p.port}", host="[::1]"))
    one(d)
    assert until(lambda: s.messages)
    assert p.wanted == [("::1", s.port)]


def test_names_looked_up_here(daemon, sink, proxy, names):
    s, p = sink(), proxy()
    names.add("mail.there.test", "A", "127.0.0.1")
    d = daemon(f"resolver {names.address}\ndnssec off\n" + via(s.port, p.address, host="mail.there.test"))
    one(d)
    assert until(lambda: s.messages)
    assert p.wanted == [("127.0.0.1", s.port)]


def test_names_looked_up_by_the_proxy(daemon, sink, proxy, names):
    s = sink()
    p = proxy(names={"mail.there.test": "127.0.0.1"})
    d = daemon(f"resolver {names.address}\ndnssec off\n" + via(s.port, p.address + " { resolve remote }", host="mail.there.test"))
    one(d)
    assert until(lambda: s.messages)
    assert p.wanted == [("mail.there.test", s.port)]
    assert names.asked("mail.there.test") == 0


def test_ehlo_says_what_the_world_sees(daemon, sink, proxy):
    s, p = sink(), proxy()
    d = daemon(via(s.port, p.address + " { remote-hostname out.example.org; remote-address 192.0.2.7 }"))
    one(d)
    assert until(lambda: s.messages)
    assert s.sessions[0].helo == "out.example.org"


def test_direct_through_a_proxy(daemon, sink, proxy, names):
    s = sink(host="127.0.0.15")
    p = proxy()
    names.add("there.test", "MX", "10 a.mx.test.", "20 b.mx.test.").add("a.mx.test", "A", "127.0.0.14").add("b.mx.test", "A", "127.0.0.15")
    d = daemon(f"resolver {names.address}\ndnssec off\nretry 1h\ntransport t {{ direct; port {s.port}; socks5 {p.address} }}\nroute via t\n")
    one(d)
    assert until(lambda: s.messages)
    assert p.wanted == [("127.0.0.14", s.port), ("127.0.0.15", s.port)]


# several proxies

def test_a_dead_proxy_is_passed_over_and_comes_last_for_a_while(daemon, sink, proxy):
    s, p, dead = sink(), proxy(), DeadPort()
    d = daemon(via(s.port, f"127.0.0.1:{dead.port}", p.address, also="messages-per-connection 1"))
    for i in range(4):
        one(d, ident=f"m{i}")
        assert until(lambda: len(s.messages) == i + 1)
    assert len(d.events("proxy", port=str(dead.port))) == 1
    assert d.events("proxy")[0]["text"].startswith("connect to 127.0.0.1[127.0.0.1]")


@pytest.mark.parametrize("stage", ["accept", "method", "connect"])
def test_a_proxy_that_hangs_up_is_passed_over(daemon, sink, proxy, stage):
    s, bad, p = sink(), proxy(lambda at, arg: DROP if at == stage else None), proxy()
    d = daemon(via(s.port, bad.address, p.address))
    one(d)
    assert until(lambda: s.messages)


def test_a_proxy_that_says_nothing_is_passed_over(daemon, sink, proxy):
    s, bad, p = sink(), proxy(lambda at, arg: HANG if at == "method" else None), proxy()
    d = daemon(via(s.port, bad.address, p.address, also="connect-timeout 1s"))
    one(d)
    assert until(lambda: s.messages)
    assert d.events("proxy", text="timed out")


def test_all_proxies_dead_is_said_so(daemon, sink, proxy):
    s, a, b = sink(), DeadPort(), DeadPort()
    d = daemon(via(s.port, f"127.0.0.1:{a.port}", f"127.0.0.1:{b.port}"))
    one(d)
    reply = last_reply(d)
    assert reply.count("proxy 127.0.0.1:") == 2 and "Connection refused" in reply
    assert str(s.port) not in reply, "the next hop has done nothing"


def test_rules_and_failures_of_one_proxy_lead_to_the_next(daemon, sink, proxy):
    s, p = sink(), proxy()
    strict, broken = proxy(lambda at, arg: 2 if at == "connect" else None), proxy(lambda at, arg: 1 if at == "connect" else None)
    d = daemon(via(s.port, strict.address, broken.address, p.address))
    one(d)
    assert until(lambda: s.messages)
    assert d.events("proxy", text="its rules do not allow this connection") and d.events("proxy", text="it has failed")


# whose failure

def test_what_the_proxy_cannot_reach_is_the_next_hops_failure(daemon, sink, proxy):
    other, p = sink(), proxy()
    dead = DeadPort()
    d = daemon(f"retry 1h\ntransport t {{ smarthost 127.0.0.1:{dead.port} 127.0.0.1:{other.port}; socks5 {p.address} }}\nroute via t\n")
    one(d)
    assert until(lambda: other.messages)
    assert p.wanted == [("127.0.0.1", dead.port), ("127.0.0.1", other.port)]


def test_the_next_transport_takes_over_when_the_proxies_are_dead(daemon, sink):
    s, other, dead = sink(), sink(), DeadPort()
    d = daemon(f"retry 1h\ntransport t {{ smarthost 127.0.0.1:{s.port}; socks5 127.0.0.1:{dead.port} }}\n"
               f"transport backup {{ smarthost 127.0.0.1:{other.port} }}\nroute via t backup\n")
    one(d)
    assert until(lambda: other.messages)
    assert d.events("unusable", transport="t", next="backup")


def test_a_next_hop_is_not_shunned_for_what_its_proxy_did(daemon, sink, proxy):
    first, second = sink(), sink()
    failing = [True]
    p = proxy(lambda at, arg: 1 if at == "connect" and failing[0] and arg[1] == first.port else None)
    d = daemon(f"retry 1s\ntransport t {{ smarthost 127.0.0.1:{first.port} 127.0.0.1:{second.port}; messages-per-connection 1; socks5 {p.address} }}\n"
               "route via t\n")
    one(d, ident="m1")
    assert until(lambda: second.messages)
    failing[0] = False
    one(d, ident="m2")
    assert until(lambda: first.messages), "the first one again, and at once"


def test_a_proxy_that_dies_in_the_middle_of_a_message(daemon, sink, proxy):
    s = sink()
    dying = proxy(lambda at, arg: DROP if at == "relayed" and arg > 100000 else None)
    p = proxy()
    d = daemon(via(s.port, dying.address, p.address, retry="1s"))
    body = message("m") + b"x" * 70 + b"\r\n" + b"0123456789" * 30000 + b"\r\n"
    one(d, body=body)
    assert until(lambda: [e for e in d.events("delivery", status="deferred") if "by proxy" in e.get("reply", "")], 10)
    dying.stop()
    assert until(lambda: s.messages, 20)
    assert len(s.messages) == 1 and s.messages[0].data.endswith(b"0123456789\r\n")
    assert p.wanted


# real ones

@pytest.mark.skipif(not shutil.which("microsocks"), reason="microsocks is not installed")
@pytest.mark.parametrize("login", [False, True])
def test_microsocks(daemon, sink, login):
    s, port = sink(), free_port()
    p = subprocess.Popen(["microsocks", "-i", "127.0.0.1", "-p", str(port)] + (["-u", "me", "-P", "secret"] if login else []),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        d = daemon(via(s.port, f"127.0.0.1:{port}" + (" { username me; password secret }" if login else ""), retry="1s"))
        for i in range(5):
            one(d, ident=f"m{i}")
        assert until(lambda: len(s.messages) == 5, 20)
    finally:
        p.kill()
        p.wait()


@pytest.mark.skipif(not shutil.which("danted"), reason="dante-server is not installed")
def test_dante(daemon, sink):
    s, port, dir = sink(), free_port(), work_dir()
    (dir / "danted.conf").write_text(f"logoutput: {dir}/log\ninternal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\nsocksmethod: none\n"
                                     "clientmethod: none\nclient pass {\nfrom: 127.0.0.0/8 to: 0.0.0.0/0\n}\n"
                                     f"socks block {{\nfrom: 0.0.0.0/0 to: 127.0.0.1/32 port = {port}\n}}\n"
                                     "socks pass {\nfrom: 127.0.0.0/8 to: 0.0.0.0/0\n}\n")
    p = subprocess.Popen(["danted", "-f", str(dir / "danted.conf"), "-p", str(dir / "pid")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        d = daemon(via(s.port, f"127.0.0.1:{port}", retry="1s"))
        for i in range(5):
            one(d, ident=f"m{i}")
        assert until(lambda: len(s.messages) == 5, 30), (dir / "log").read_text()
    finally:
        p.terminate()
        p.wait()
        shutil.rmtree(dir)


# the configuration

@pytest.mark.parametrize("block,words", [
    ("socks5 h:1080 { username me }", "go together"),
    ("socks5 h:1080 { password x }", "go together"),
    ("socks5 h:1080 { username me; password command \"cat x\" }", "not supported yet"),
    ("socks5 h:1080; socks5 i:1080 { resolve remote }", "resolve alike"),
    ("socks5 h:1080 { resolve elsewhere }", "elsewhere"),
    (f"socks5 h:1080 {{ username {'u' * 256}; password x }}", "255 octets"),
])
def test_mistakes(block, words):
    status, said, _ = check(f"transport t {{ smarthost a.test; {block} }}\nroute via t\n")
    assert status == 78 and re.search(words, said), said
