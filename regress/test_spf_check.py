"""spf-check of direct transports: a sender's domain is judged for the address that its mail leaves from."""
import pytest

from harness.client import message, send
from harness.daemon import smarthost, until


@pytest.fixture
def direct(daemon, sink, names):
    """direct(statements, text): a daemon that sends there.test directly to .far, and by `spare` to .spare."""
    def make(statements="", text="", route="out spare", **kw):
        far, spare = sink(), sink()
        names.add("there.test", "MX", "10 mx.there.test.").add("mx.there.test", "A", "127.0.0.1")
        d = daemon(f"transport out {{ direct; port {far.port}; {statements} }}\nresolver {names.address}\ndnssec off\nretry 1s\n"
                   f"transport spare {{ smarthost 127.0.0.1:{spare.port} }}\nroute via {route}\n{text}", **kw)
        d.far, d.spare = far, spare
        return d
    return make


def one(d, sender, ident="m"):
    assert send(d.port, sender, ["to@there.test"], message(ident))[0] == 250
    assert d.wait_empty(15), d.log


def test_skip_takes_the_next_transport(direct, names):
    names.add("bad.test", "TXT", "v=spf1 ip4:192.0.2.1 -all").add("good.test", "TXT", "v=spf1 ip4:127.0.0.1 -all")
    d = direct("spf-check skip")
    one(d, "u@bad.test")
    assert not d.far.messages and len(d.spare.messages) == 1
    e, = d.events("unusable")
    assert e["why"] == "spf" and e["next"] == "spare" and "bad.test" in e["text"] and "-all" in e["text"] and "127.0.0.1" in e["text"]
    e, = d.events("spf")
    assert e["result"] == "fail" and e["domain"] == "bad.test" and e["address"] == "127.0.0.1" and e["level"] == "warn"
    one(d, "u@good.test", "m2")
    assert len(d.far.messages) == 1 and len(d.spare.messages) == 1
    h = d.relayctl_json("history", "--from", "u@good.test")[0]
    assert h["recipients"][0]["spf"] == "pass by `ip4:127.0.0.1` for 127.0.0.1"
    assert "ip4:127.0.0.1" in d.relayctl("why", "u@good.test").stdout
    # the transport itself is well: nobody else has to wait
    states = {t["state"] for t in d.relayctl_json("transport", "list") if t["name"] == "out"}
    assert states == {"ok"}


def test_known_answers_are_not_asked_for_again(direct, names):
    names.add("bad.test", "TXT", "v=spf1 -all")
    d = direct("spf-check skip")
    for i in range(4):
        one(d, f"u{i}@bad.test", f"m{i}")
    assert len(d.spare.messages) == 4 and not d.far.messages
    assert names.asked("bad.test", "TXT") == 1


def test_without_another_transport_it_waits(direct, names):
    names.add("bad.test", "TXT", "v=spf1 -all")
    d = direct("spf-check skip", route="out")
    assert send(d.port, "u@bad.test", ["to@there.test"], message("m"))[0] == 250
    e = d.wait_event("delivery", status="deferred")[0]
    assert e["dsn"] == "4.7.23" and "spf-check skip" in e["reply"]
    m, = d.queue()
    assert "SPF of bad.test" in m["recipients"][0]["last_reply"]
    assert "SPF of bad.test" in d.relayctl("why", m["id"]).stdout
    assert not d.far.messages


@pytest.mark.parametrize("record", [None, "v=spf1 ~all", "v=spf1 ?all", "v=spf1 nonsense -all", "servfail", "timeout"])
def test_only_a_fail_is_skipped(direct, names, record):
    if record in ("servfail", "timeout"):
        names.rule("x.test", record)
    elif record:
        names.add("x.test", "TXT", record)
    d = direct("spf-check skip")
    assert send(d.port, "u@x.test", ["to@there.test"], message("m"))[0] == 250
    assert d.wait_empty(30), d.log
    assert len(d.far.messages) == 1
    assert d.events("spf")[0]["result"] == {None: "none", "v=spf1 ~all": "softfail", "v=spf1 ?all": "neutral", "v=spf1 nonsense -all": "permerror",
                                            "servfail": "temperror", "timeout": "temperror"}[record]


def test_warn_is_the_default_and_holds_nothing_up(direct, names):
    names.add("bad.test", "TXT", "v=spf1 -all").rule("slow.test", "timeout")
    d = direct()
    one(d, "u@slow.test", "slow")
    one(d, "u@bad.test", "m1")
    assert d.wait_event("spf", domain="bad.test", result="fail")
    one(d, "u@bad.test", "m2")
    assert [e for e in d.events("delivery", status="sent") if "fail by `-all`" in e.get("spf", "")], "known at the second one"
    assert len(d.far.messages) == 3 and not d.spare.messages
    assert d.wait_event("spf", 40, domain="slow.test", result="temperror")


def test_off_asks_nothing(direct, names):
    d = direct("spf-check off")
    one(d, "u@bad.test")
    assert len(d.far.messages) == 1 and not d.events("spf") and not names.asked("bad.test", "TXT")


def test_the_null_sender_and_literals_are_not_judged(direct, names):
    d = direct("spf-check skip")
    one(d, "", "m1")
    one(d, "u@[192.0.2.1]", "m2")
    assert len(d.far.messages) == 2 and not d.events("spf")


def test_the_source_address_is_what_counts(direct, names):
    names.add("x.test", "TXT", "v=spf1 ip4:127.0.0.9 -all")
    d = direct("spf-check skip; source-address 127.0.0.9")
    one(d, "u@x.test")
    assert len(d.far.messages) == 1 and d.far.sessions[0].peer[0] == "127.0.0.9"


def test_a_smarthost_is_not_judged(daemon, sink, names):
    s = sink()
    d = daemon(f"{smarthost(s.port)}resolver {names.address}\ndnssec off\n")
    one(d, "u@bad.test")
    assert len(s.messages) == 1 and not names.asked("bad.test", "TXT")


def test_a_server_that_leaves_while_we_wait(direct, names, sink):
    names.rule("slow.test", "timeout").add("there.test", "MX", "10 mx.there.test.").add("mx.there.test", "A", "127.0.0.1")
    d = direct("spf-check skip")
    assert send(d.port, "u@slow.test", ["to@there.test"], message("m"))[0] == 250
    assert until(lambda: d.far.sessions and d.far.sessions[0].commands, 10)
    d.far.stop()
    d.far.start()
    assert d.wait_empty(40), d.log
    assert d.far.ids() == {("m", "to@there.test"): 1} or d.spare.ids() == {("m", "to@there.test"): 1}


@pytest.mark.parametrize("resolve", ["local", "remote"])
def test_behind_a_proxy_its_declared_address_counts(direct, names, proxy, resolve):
    names.add("good.test", "TXT", "v=spf1 ip4:198.51.100.7 -all").add("bad.test", "TXT", "v=spf1 ip4:127.0.0.1 -all")
    p = proxy(names={"mx.there.test": "127.0.0.1"})
    d = direct(f"spf-check skip\nsocks5 {p.address} {{ remote-address 198.51.100.7; remote-hostname out.test; resolve {resolve} }}\n")
    one(d, "u@good.test", "m1")
    assert len(d.far.messages) == 1 and p.wanted and d.far.sessions[0].helo == "out.test"
    one(d, "u@bad.test", "m2")
    assert len(d.far.messages) == 1 and len(d.spare.messages) == 1
    assert d.events("spf")[0]["address"] == "198.51.100.7"


def test_a_proxy_that_declares_nothing_is_not_judged(direct, names, proxy):
    names.add("bad.test", "TXT", "v=spf1 -all")
    d = direct(f"spf-check skip\nsocks5 {proxy().address}\n")
    one(d, "u@bad.test")
    assert len(d.far.messages) == 1 and not d.events("spf")
