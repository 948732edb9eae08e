"""MTA-STS: domains that demand TLS with a good certificate (RFC 8461)."""
import json
import os
import shutil
import signal
import ssl

import pytest

from harness.ca import CA
from harness.client import message, send
from harness.daemon import BUILD, until
from harness.policies import Policies
from harness.socks import Proxy
from test_dane import spki

DAY = 86400 * 1000


@pytest.fixture(scope="module")
def ca():
    made = CA()
    made.pairs = {name: made.cert(name) for name in ("mx.x.test", "other.test", "policies.test", "mta-sts.x.test", "mta-sts.y.test")}
    made.own = made.cert("mx.x.test", file="own", own=True)
    yield made
    shutil.rmtree(made.dir)


def server(pair):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(*pair)
    return ctx


class World:
    """x.test has the exchanger mx.x.test (127.0.0.1, up) and a web server for its policy."""

    def __init__(self, daemon, sink, names, ca):
        self.make_daemon, self.make_sink, self.names, self.ca = daemon, sink, names, ca
        self.web = Policies(lambda name: server(ca.pairs[name]))
        names.add("mx.x.test", "A", "127.0.0.1")
        self.domain("x.test")

    def domain(self, domain, *mx):
        self.names.set(domain, "MX", *(mx or ["10 mx.x.test."])).set("mta-sts." + domain, "A", "127.0.0.1")

    def record(self, ident, domain="x.test"):
        self.names.set("_mta-sts." + domain, "TXT", f"v=STSv1; id={ident};")

    def publish(self, mode, *mx, ident="1", domain="x.test", **kw):
        self.record(ident, domain)
        self.web.publish(domain, mode, *(mx or ["mx.x.test"]), **kw)

    def serve(self, pair=None, tls=True, **kw):
        self.up = self.make_sink(tls=server(pair or self.ca.pairs["mx.x.test"]) if tls else None, **kw)
        return self.up

    def start(self, also="", kind="direct; port {up}", retry="1h", head="", first=""):
        dnssec = "trust-anchor {dir}/anchors" if self.names.keys else "dnssec off"
        self.d = self.make_daemon(f"{dnssec}\nretry {retry}\nprobe 1s\nwarn-after off\nresolver {self.names.address}\ntls-ca {self.ca.file}\n{head}"
                                  f"transport t {{ {kind.format(up=self.up.port)}; {also} }}\n{first}route via t\n", start=False,
                                  env={"SMARTHOSTD_MTA_STS_PORT": str(self.web.port)})
        self.d.env["SMARTHOSTD_CLOCK_OFFSET_FILE"] = str(self.d.dir / "offset")
        self.clock(0)
        if self.names.keys:
            (self.d.dir / "anchors").write_text(self.names.anchors())
            (self.d.dir / "anchors").chmod(0o644)
        return self.d.start()

    def clock(self, ms):
        (self.d.dir / "offset").write_text(str(ms))
        (self.d.dir / "offset").chmod(0o644)

    def send(self, to="u@x.test"):
        assert send(self.d.port, "from@here.test", [to], message("m"))[0] == 250

    def arrives(self, to="u@x.test", where=None):
        m = until(lambda: (where or self.up).to(to), 20)
        assert m, self.d.queue()
        return m[0].session

    def line(self, to="u@x.test", status="sent"):
        e = self.d.wait_event("delivery", to=f"<{to}>", status=status)
        assert e, self.d.log
        return e[-1]

    def waits(self, to="u@x.test"):
        """Its last reply."""
        def looked():
            return [r["last_reply"] for m in self.d.queue() for r in m["recipients"] if r["address"] == to and r["last_reply"]]
        said = until(looked, 20)
        assert said and "MTA-STS" in said[0], (said, self.d.queue())
        assert self.line(to, "deferred")["dsn"] == "4.7.5"
        assert not self.up.to(to)
        return said[0]

    def again(self):
        """By another configuration, which is the same, everything is asked anew."""
        n = len(self.d.events("queue", text="new configuration in place"))
        self.d.signal(signal.SIGHUP)
        assert until(lambda: len(self.d.events("queue", text="new configuration in place")) > n)


@pytest.fixture
def world(daemon, sink, names, ca):
    w = World(daemon, sink, names, ca)
    yield w
    w.web.stop()


def test_a_policy_that_is_fulfilled(world):
    world.serve()
    world.publish("enforce")
    world.start()
    world.send()
    assert world.arrives().tls
    line = world.line()
    assert line["verify"] == "mta-sts" and line["tls"].startswith("TLSv1")
    recipient = until(lambda: world.d.relayctl_json("history"))[0]["recipients"][0]
    assert recipient["verify"] == "mta-sts" and recipient["tls"].startswith("TLSv1")
    assert "mta-sts" in world.d.relayctl("why", "last").stdout
    assert world.web.requests[0][1] == "/.well-known/mta-sts.txt" and "Cookie" not in world.web.requests[0][2]


def test_a_wildcard_in_a_policy(world):
    world.serve()
    world.publish("enforce", "*.x.test")
    world.start()
    world.send()
    assert world.arrives().tls and world.line()["verify"] == "mta-sts"


@pytest.mark.parametrize("what", ["name", "authority", "none", "refused"])
def test_a_server_that_is_not_good_enough_until_it_is(world, what):
    def script(stage, session, arg):
        return "454 4.7.0 not now" if what == "refused" and stage == "starttls" else None
    pair = {"name": world.ca.pairs["other.test"], "authority": world.ca.own}.get(what)
    world.serve(pair, tls=what != "none", script=script)
    world.publish("enforce")
    world.start()
    world.send()
    said = world.waits()
    assert {"name": "another name", "authority": "self-signed", "none": "does not offer it", "refused": "STARTTLS refused"}[what] in said, said
    world.up.stop()
    world.up.tls, world.up.script = server(world.ca.pairs["mx.x.test"]), None
    world.up.start()
    assert world.arrives().tls and world.line()["verify"] == "mta-sts"


def test_an_exchanger_that_is_not_listed_until_the_policy_is_another_one(world):
    world.serve()
    world.publish("enforce", "mail.elsewhere.test")
    world.start(retry="1s")
    world.send()
    assert "lists none of its mail exchangers (mx.x.test)" in world.waits()
    world.publish("enforce", "mx.x.test", ident="2")
    assert world.arrives().tls


def test_mail_that_waits_is_not_kept_from_a_new_policy(world):
    """Before it waits again the policy is looked up anew, though DNS may be asked once an hour only."""
    world.serve(world.ca.pairs["other.test"])
    world.names.set("x.test", "MX", "10 mx.x.test.", ttl=3600)
    world.publish("enforce")
    world.start()
    world.send()
    world.waits()
    world.publish("none", ident="2")
    assert world.arrives().tls
    assert "verify" not in world.line()


def test_only_those_that_are_listed(world, sink):
    world.serve(host="127.0.0.21")
    good = sink(tls=server(world.ca.pairs["mx.x.test"]), host="127.0.0.22", port=world.up.port)
    world.names.add("a.x.test", "A", "127.0.0.21").set("mx.x.test", "A", "127.0.0.22")
    world.domain("x.test", "10 a.x.test.", "20 mx.x.test.")
    world.publish("enforce")
    world.start()
    world.send()
    assert world.arrives(where=good).tls
    assert not world.up.sessions


def test_the_next_exchanger_where_the_first_is_not_good_enough(world, sink):
    world.serve(world.ca.pairs["other.test"], host="127.0.0.21")
    good = sink(tls=server(world.ca.pairs["mx.x.test"]), host="127.0.0.22", port=world.up.port)
    world.names.add("a.x.test", "A", "127.0.0.21").set("mx.x.test", "A", "127.0.0.22")
    world.domain("x.test", "10 a.x.test.", "20 mx.x.test.")
    world.publish("enforce", "*.x.test")
    world.start()
    world.send()
    assert world.arrives(where=good).tls
    assert not world.up.messages


def test_a_domain_without_exchangers_is_its_own(world):
    world.serve(world.ca.pairs["other.test"])
    world.names.drop("x.test", "MX").add("x.test", "A", "127.0.0.1")
    world.publish("enforce", "x.test")
    world.start()
    world.send()
    assert "another name" in world.waits()


@pytest.mark.parametrize("what", ["good", "name", "none", "unlisted", "broken"])
def test_testing_tells_and_delivers(world, what):
    world.serve(world.ca.pairs["other.test"] if what == "name" else None, tls=what != "none")
    if what == "broken":
        world.up.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)       # that has no certificate
    world.publish("testing", "mail.elsewhere.test" if what == "unlisted" else "mx.x.test")
    world.start()
    world.send()
    assert world.arrives().tls == (what not in ("none", "broken"))
    said = world.line()["verify"]
    assert said.startswith("mta-sts testing")
    assert {"good": "mta-sts testing", "name": "would fail: ", "none": "the server does not offer TLS", "unlisted": "does not list this host",
            "broken": "its TLS does not work"}[what] in said, said
    assert ("would fail" in said) == (what != "good")


@pytest.mark.parametrize("mode", ["none", None])
def test_without_a_policy_as_it_comes(world, mode):
    world.serve(world.ca.pairs["other.test"])
    if mode:
        world.publish(mode)
    world.start()
    world.send()
    assert world.arrives().tls and "verify" not in world.line()
    assert world.web.fetched("x.test") == (1 if mode else 0)


# what DNS says

@pytest.mark.parametrize("text", ["v=STSv1", "v=STSv1; id=a-b", "v=STSv2; id=1", "id=1; v=STSv1", "hello"])
def test_records_that_are_none(world, text):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    world.names.set("_mta-sts.x.test", "TXT", text)
    world.start()
    world.send()
    assert world.arrives().tls and world.web.fetched("x.test") == 0


def test_several_records_are_none(world):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    world.names.add("_mta-sts.x.test", "TXT", "v=STSv1; id=2")
    world.start()
    world.send()
    assert world.arrives().tls and world.web.fetched("x.test") == 0


def test_other_texts_beside_the_record(world):
    world.serve()
    world.publish("enforce")
    world.names.add("_mta-sts.x.test", "TXT", "something else")
    world.start()
    world.send()
    assert world.arrives().tls and world.line()["verify"] == "mta-sts"


@pytest.mark.parametrize("rule", ["servfail", "timeout"])
def test_dns_that_does_not_answer_holds_up_nobody(world, rule):
    world.serve(world.ca.pairs["other.test"])
    world.names.rule("_mta-sts.x.test", rule)
    world.start()
    world.send()
    assert world.arrives().tls
    assert world.d.events("mta-sts", domain="x.test")[0]["text"].endswith("mail goes without a policy")


# what the web server says

WRONG = {
    "redirect": dict(status=301, headers={"Location": "https://elsewhere.test/"}, text=""),
    "missing": dict(status=404),
    "failing": dict(status=503),
    "html": dict(type="text/html"),
    "typeless": dict(type=None),
    "garbage": dict(text="<html>no policy</html>"),
    "empty": dict(text=""),
    "binary": dict(text=bytes(range(256))),
    "incomplete": dict(text="version: STSv1\nmode: enforce\nmax_age: 1\n"),
    "oversized": dict(text="version: STSv1\nmode: enforce\nmx: mx.x.test\nmax_age: 86400\n" + "x: y\n" * 20000),
    "endless": dict(text=b"version: STSv1\nmode: enforce\nmx: mx.x.test\nmax_age: 86400\n" + b"x: y\n" * 20000, drip=100000),
}


@pytest.mark.parametrize("page", WRONG)
def test_an_answer_that_is_no_policy(world, page):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    good = world.web.pages["mta-sts.x.test"]
    world.web.answer("x.test", **{"type": "text/plain", **good, **WRONG[page]})
    world.start()
    world.send()
    assert world.arrives().tls and "verify" not in world.line()
    told = world.d.events("mta-sts", domain="x.test")
    assert told and told[0]["level"] == "warn" and told[0]["why"] and "mail goes without" in told[0]["text"]


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "Text/Plain"])
def test_a_type_that_is_plain_text(world, kind):
    world.serve()
    world.publish("enforce")
    world.web.pages["mta-sts.x.test"]["type"] = kind
    world.start()
    world.send()
    assert world.arrives().tls and world.line()["verify"] == "mta-sts"


def test_a_web_server_that_is_slow_holds_up_its_own_domain_and_not_for_long(world):
    world.serve()
    world.publish("enforce")
    world.web.pages["mta-sts.x.test"]["slow"] = 60
    world.domain("y.test")
    world.start()
    world.send()
    world.send("u@y.test")
    assert world.arrives("u@y.test").tls
    assert not world.up.to("u@x.test")
    assert until(lambda: world.up.to("u@x.test"), 40)
    assert "in time" in world.d.events("mta-sts", domain="x.test")[0]["why"]


def rss(pid):
    """KiB."""
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS:"))


def test_policies_of_many_domains_at_once_cost_no_copies_of_the_authorities(world, tmp_path):
    many = [f"d{i}.test" for i in range(150)]
    world.serve()
    certificate = world.ca.server(*("mta-sts." + domain for domain in many), file="many")
    for domain in many:
        world.domain(domain)
        world.publish("enforce", domain=domain, context=certificate)
        world.web.pages["mta-sts." + domain]["slow"] = 3
    file = world.ca.file
    bundle = tmp_path / "bundle"
    bundle.write_text(open(file).read() + "# as long as the usual ones\n" * 8000)
    bundle.chmod(0o644)
    tmp_path.chmod(0o755)
    world.ca.file = bundle
    try:
        world.start()
    finally:
        world.ca.file = file
    pid, = world.d.role("delivery")
    before = rss(pid)
    for domain in many:
        world.send("u@" + domain)
    peak = 0

    def looked_up():
        nonlocal peak
        peak = max(peak, rss(pid))
        return len(world.d.events("mta-sts")) >= len(many)
    assert until(looked_up, 40)
    assert "sanitize" in (BUILD / "config.flags").read_text() or peak - before < 20000, (before, peak)


@pytest.mark.parametrize("what", ["name", "authority"])
def test_a_web_server_that_is_not_the_domains_own(world, what, ca):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce", context=server(ca.pairs["other.test"] if what == "name" else ca.own))
    world.start()
    world.send()
    assert world.arrives().tls and "verify" not in world.line()
    assert world.web.fetched("x.test") == 0


def test_a_policy_that_cannot_be_fetched_is_not_asked_for_at_once_again(world):
    world.serve()
    world.publish("enforce")
    world.web.answer("x.test", status=404, text="")
    world.start()
    world.send()
    world.arrives()
    world.again()
    world.send("v@x.test")
    world.arrives("v@x.test")
    assert world.web.fetched("x.test") == 1
    world.publish("enforce", ident="2")
    world.again()
    world.send("w@x.test")
    world.arrives("w@x.test")
    assert world.line("w@x.test")["verify"] == "mta-sts"
    assert world.web.fetched("x.test") == 2


# what is remembered

def known(world, bad=True):
    """A policy has been seen; now the server is one that it forbids."""
    world.serve()
    world.publish("enforce")
    world.start()
    world.send("first@x.test")
    world.arrives("first@x.test")
    if bad:
        world.up.stop()
        world.up.tls = server(world.ca.pairs["other.test"])
        world.up.start()


@pytest.mark.parametrize("how", ["web", "servfail", "nodata", "both"])
def test_a_policy_that_is_known_holds_when_nobody_tells_it(world, how):
    known(world)
    if how in ("web", "both"):
        world.web.stop()
        world.record("2")
    if how in ("servfail", "both"):
        world.names.rule("_mta-sts.x.test", "servfail")
    if how == "nodata":
        world.names.drop("_mta-sts.x.test")
    until(lambda: False, 1.2)       # what DNS said before is forgotten
    world.again()
    world.send()
    world.waits()
    if how in ("web", "both"):
        world.web.start()


@pytest.mark.parametrize("how", ["restart", "delivery", "queue"])
def test_a_policy_outlives_us(world, how):
    known(world)
    world.web.stop()
    world.names.drop("_mta-sts.x.test")
    until(lambda: False, 1.2)
    if how == "restart":
        world.d.restart()
    else:
        old = world.d.role(how)
        os.kill(old[0], signal.SIGKILL)
        assert until(lambda: world.d.role(how) and world.d.role(how) != old)
    # a queue that is being restarted puts it off
    assert until(lambda: send(world.d.port, "from@here.test", ["u@x.test"], message("m"))[0] == 250)
    world.waits()
    world.web.start()


def test_a_policy_expires(world):
    known(world)
    world.web.stop()
    world.names.drop("_mta-sts.x.test")
    world.clock(8 * DAY)
    until(lambda: False, 1.2)
    world.again()
    world.send()
    assert world.arrives().tls
    world.web.start()


def test_a_policy_is_fetched_anew_long_before_it_expires(world):
    known(world, bad=False)
    world.send("second@x.test")
    world.arrives("second@x.test")
    assert world.web.fetched("x.test") == 1
    world.clock(2 * DAY)
    world.names.drop("_mta-sts.x.test")
    until(lambda: False, 1.2)
    world.again()
    world.send("third@x.test")
    world.arrives("third@x.test")
    assert world.web.fetched("x.test") == 2
    world.web.stop()
    world.clock(8 * DAY)        # beyond the life of the first
    world.up.stop()
    world.up.tls = server(world.ca.pairs["other.test"])
    world.up.start()
    world.again()
    world.send()
    world.waits()
    world.web.start()


def test_another_id_brings_another_policy(world):
    known(world)
    world.publish("testing", ident="2")
    until(lambda: False, 1.2)
    world.again()
    world.send()
    assert world.arrives().tls
    assert "would fail" in world.line()["verify"]


def test_a_damaged_policy_in_place_of_a_good_one_changes_nothing(world):
    known(world)
    world.record("2")
    world.web.answer("x.test", type="text/plain", text="mode: none\n")
    until(lambda: False, 1.2)
    world.again()
    world.send()
    world.waits()
    assert [e for e in world.d.events("mta-sts", domain="x.test") if "the one that is known holds" in e["text"] and "version" in e["why"]]


# who is with whom

def test_domains_with_the_same_exchanger_and_different_demands(world):
    """A session that nobody verified never carries mail that demands it, and the lane of one does not close the other's."""
    world.serve(world.ca.pairs["other.test"])
    world.domain("y.test")
    world.domain("z.test")
    world.publish("enforce")
    world.publish("testing", domain="y.test")
    world.start("idle-timeout 60s; connections 1")
    for i in range(3):
        world.send(f"u{i}@z.test")
        world.send(f"u{i}@y.test")
        world.send(f"u{i}@x.test")
        for to in (f"u{i}@y.test", f"u{i}@z.test"):
            world.arrives(to)
    world.waits("u0@x.test")
    assert not [m for m in world.up.messages if "@x.test" in m.rcpts[0]]
    assert {world.up.to("u0@y.test")[0].session.number} != {world.up.to("u0@z.test")[0].session.number}
    status = {t["name"]: t for t in world.d.relayctl_json("status")["transports"]}
    assert status["t"]["last_error"] is None or "MTA-STS" in str(status["t"])
    world.up.stop()
    world.up.tls = server(world.ca.pairs["mx.x.test"])
    world.up.start()
    for i in range(3):
        world.arrives(f"u{i}@x.test")


def test_domains_that_demand_the_same_share(world):
    world.serve()
    world.domain("y.test")
    world.publish("enforce")
    world.publish("enforce", "*.x.test", domain="y.test")
    world.start("idle-timeout 60s; connections 1")
    world.send()
    first = world.arrives()
    world.send("u@y.test")
    assert world.arrives("u@y.test") is first
    assert world.line("u@y.test")["verify"] == "mta-sts"


@pytest.mark.parametrize("say", ["tls-verify off", "tls off", "tls required; tls-verify off"])
def test_transports_that_do_not_look(world, say):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    world.start(say)
    world.send()
    world.arrives()
    assert world.web.fetched("x.test") == 0 and world.names.asked("_mta-sts.x.test") == 0


def test_the_built_in_transport_looks(world):
    world.serve()
    world.publish("enforce", "mail.elsewhere.test")
    world.start(first="route from nobody@here.test via t\n", head="")
    conf = world.d.conf.read_text().replace("route via t\n", "")
    world.d.stop()
    world.d.conf.write_text(conf)
    world.d.start()
    world.send()
    world.waits()


def test_the_policy_of_a_smarthosts_domain(world):
    """RFC 8461 3.4: that of the domain whose exchangers relay for us, whoever the recipient is."""
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce", "mail.elsewhere.test")
    world.start(kind="smarthost mx x.test")
    world.send("u@anywhere.test")
    world.waits("u@anywhere.test")
    assert world.names.asked("_mta-sts.anywhere.test") == 0


def test_through_a_proxy(world):
    """Mail goes through it, the policy comes straight."""
    proxy = Proxy()
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    world.start(f"socks5 {proxy.address}")
    world.send()
    assert "another name" in world.waits()
    world.up.stop()
    world.up.tls = server(world.ca.pairs["mx.x.test"])
    world.up.start()
    assert world.arrives().tls and world.line()["verify"] == "mta-sts"
    assert {port for _, port in proxy.wanted} == {world.up.port}
    proxy.stop()


def test_literals_have_none(world):
    world.serve(world.ca.pairs["other.test"])
    world.start()
    world.send("u@[127.0.0.1]")
    world.arrives("u@[127.0.0.1]")
    assert not [q for q in world.names.questions if q[0].startswith("_mta-sts")]


def test_a_null_mx_waits_for_no_policy(world):
    world.serve()
    world.domain("x.test", "0 .")
    world.publish("enforce")
    world.web.pages["mta-sts.x.test"]["slow"] = 60
    world.start()
    world.send()
    assert world.d.wait_event("delivery", 5, to="<u@x.test>", status="bounced"), world.d.log


def test_the_next_transport_where_a_policy_forbids_the_first(world, sink):
    world.serve(world.ca.pairs["other.test"])
    other = sink()
    world.publish("enforce")
    world.start(first=f"transport b {{ smarthost 127.0.0.1:{other.port} }}\nroute to x.test via t b\n")
    world.send()
    world.arrives(where=other)
    assert not world.up.messages


def test_never_a_bounce_before_it_expires(world):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce", "mail.elsewhere.test")
    world.start(head="expire 4s\n", retry="1s")
    world.send()
    world.waits()
    said = world.d.wait_event("delivery", 30, status="expired")
    assert said and "5.4.7" in said[0]["reply"] and "MTA-STS" in said[0]["reply"]
    assert not world.d.events("delivery", status="bounced")


# DANE

def signed(world, *records):
    names = world.names
    names.sign("x.test")
    for r in records:
        names.add(f"_{world.up.port}._tcp.mx.x.test", "TLSA", r)


def test_dane_wins(world):
    """A certificate that no authority knows, and that DNS vouches for."""
    world.serve(world.ca.own)
    signed(world, "3 1 1 " + spki(world.ca.own[0]))
    world.publish("enforce")
    world.start()
    world.send()
    assert world.arrives().tls and world.line()["verify"] == "dane"


def test_dane_that_fails_is_not_mended_by_a_policy(world):
    world.serve()
    signed(world, "3 1 1 " + "00" * 32)
    world.publish("enforce")
    world.start()
    world.send()
    m = until(lambda: [m for m in world.d.queue() if m["recipients"][0]["last_reply"]], 15)
    assert m and "TLSA" in m[0]["recipients"][0]["last_reply"] and not world.up.messages


def test_records_of_no_use_do_not_stand_for_a_policy(world):
    world.serve(world.ca.pairs["other.test"])
    signed(world, "1 1 1 " + spki(world.ca.pairs["other.test"][0]))
    world.publish("enforce")
    world.start()
    world.send()
    assert "another name" in world.waits()


@pytest.mark.parametrize("vouched", [True, False])
def test_an_exchanger_that_only_dane_vouches_for(world, vouched):
    """Signed from the domain to the key; else whoever forges MX records would bring his own records along."""
    world.serve(world.ca.own)
    signed(world, *(["3 1 1 " + spki(world.ca.own[0])] if vouched else []))
    world.publish("enforce", "mail.elsewhere.test")
    world.start()
    world.send()
    if vouched:
        assert world.arrives().tls and world.line()["verify"] == "dane"
    else:
        assert "does not list this host" in world.waits()


def test_an_exchanger_with_dane_that_nobody_vouches_is_the_domains(world):
    world.serve(world.ca.own)
    signed(world, "3 1 1 " + spki(world.ca.own[0]))
    world.domain("y.test")
    world.publish("enforce", "mail.elsewhere.test", domain="y.test")
    world.start()
    world.send("u@y.test")
    assert "lists none" in world.waits("u@y.test")
    assert not world.up.sessions


# relayctl transport test

def steps(world, *args, ok=True):
    r = world.d.relayctl("transport", "test", "t", "--to", "u@x.test", *args, "--json")
    got = json.loads(r.stdout)
    assert got["ok"] is ok and (r.returncode == 0) is ok, got
    return {s["name"]: s for s in got["steps"]}


def test_a_trial_tells_of_the_policy(world):
    world.serve()
    world.publish("enforce")
    world.start()
    s = steps(world)
    assert s["mx"]["text"] == "mx.x.test=mta-sts" and s["verify"]["text"] == "mta-sts" and s["tls"]["ok"]


def test_a_trial_of_a_server_that_is_not_good_enough(world):
    world.serve(world.ca.pairs["other.test"])
    world.publish("enforce")
    world.start()
    s = steps(world, ok=False)
    assert not s["tls"]["ok"] and "MTA-STS" in s["tls"]["text"] and "postmaster" in s["tls"]["advice"]


def test_a_trial_of_a_policy_in_testing(world):
    world.serve(world.ca.pairs["other.test"])
    world.publish("testing")
    world.start()
    s = steps(world)
    assert not s["verify"]["ok"] and "would fail" in s["verify"]["text"]


def test_a_trial_knows_what_is_remembered(world):
    known(world)
    world.web.stop()
    world.names.drop("_mta-sts.x.test")
    until(lambda: False, 1.2)
    s = steps(world, ok=False)
    assert "MTA-STS" in s["tls"]["text"]
    world.web.start()
