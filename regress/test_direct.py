"""Direct delivery: which server of a recipient's domain gets a message, and what becomes of it when names cannot be resolved."""
import re
import signal
import socket
import time

import pytest

from harness.client import message, send
from harness.daemon import free_port, until

HOSTS = {n: f"127.0.0.{i}" for i, n in enumerate("abcdefgh", 11)}


class World:
    """Servers at addresses of their own, all at one port, and the name server that leads to them."""

    def __init__(self, daemon, sink, names):
        self.make_daemon, self.sink, self.names = daemon, sink, names
        self.port = self.common_port()
        self.up = {}
        for n, ip in HOSTS.items():
            names.add(f"{n}.mx.test", "A", ip)

    @staticmethod
    def common_port():
        while True:
            port, socks = free_port(), []
            try:
                for ip in HOSTS.values():
                    socks.append(socket.create_server((ip, port)))
                return port
            except OSError:
                continue
            finally:
                for s in socks:
                    s.close()

    def serve(self, *hosts, script=None, **kw):
        for n in hosts:
            self.up[n] = self.sink(script, host=HOSTS.get(n, n), port=self.port, **kw)
        return self.up[hosts[0]]

    def mx(self, domain, *hosts):
        """ "a" is a.mx.test at preference 10, "20 b" b.mx.test at 20"""
        self.names.add(domain, "MX", *[("" if " " in h else "10 ") + h + ".mx.test." for h in hosts])

    def start(self, also="", block="", **kw):
        self.bounces = self.sink()
        text = ("" if "retry" in also else "retry 1s\n") + f"warn-after off\nbounce-to sender\nresolver {self.names.address}\ndnssec off\n"
        self.d = self.make_daemon(text + f"transport mx {{ direct; port {self.port}; tls off; {block} }}\n"
                                  f"transport bounces {{ smarthost 127.0.0.1:{self.bounces.port} }}\n"
                                  f"route from <> via bounces\n{also}\nroute via mx\n", **kw)
        return self.d

    def send(self, *to, ident="m"):
        code, text = send(self.d.port, "from@here.test", list(to), message(ident))
        assert code == 250, text

    def arrives(self, host, to, seconds=10):
        assert until(lambda: self.up[host].to(to), seconds), [n for n in self.up if self.up[n].to(to)]
        return self.up[host].to(to)[0]

    def bounce(self, to, seconds=10):
        found = until(lambda: [m for m in self.bounces.messages if to.encode() in m.data], seconds)
        assert found, f"no bounce about {to}"
        return found[0].data.decode()

    def waits(self, to):
        m = until(lambda: [m for m in self.d.queue() for r in m["recipients"] if r["address"] == to and r["last_reply"]], 10)
        assert m, self.d.queue()
        return [r for r in m[0]["recipients"] if r["address"] == to][0]


@pytest.fixture
def world(daemon, sink, names):
    return World(daemon, sink, names)


# which host

def test_the_lowest_preference_first(world):
    world.serve("a", "b", "c")
    world.mx("pref.test", "20 b", "10 a", "30 c")
    world.start()
    for i in range(6):
        world.send(f"u{i}@pref.test")
    for i in range(6):
        world.arrives("a", f"u{i}@pref.test")
    assert not world.up["b"].messages and not world.up["c"].messages


def test_equals_share_the_mail(world):
    world.serve("a", "b", "c", "d")
    world.mx("equal.test", "a", "b", "c", "d")
    world.start(block="messages-per-connection 1")
    for i in range(40):
        world.send(f"u{i}@equal.test")
    assert until(lambda: sum(len(world.up[n].messages) for n in "abcd") == 40)
    assert sum(bool(world.up[n].messages) for n in "abcd") >= 3     # fewer: once in 10^10


def test_without_mx_the_address_of_the_domain(world):
    world.serve("c")
    world.names.add("plain.test", "A", HOSTS["c"])
    world.start()
    world.send("u@plain.test")
    world.arrives("c", "u@plain.test")


def test_aliases_of_domains_and_of_hosts_are_followed(world):
    world.serve("a", "e")
    world.mx("real.test", "a")
    world.names.add("alias.test", "CNAME", "real.test.")
    world.names.add("other.test", "MX", "10 alias.mx.test.").add("alias.mx.test", "CNAME", "e.mx.test.")
    world.start()
    world.send("u@alias.test")
    world.send("u@other.test")
    world.arrives("a", "u@alias.test")
    world.arrives("e", "u@other.test")


def test_address_literals(world):
    world.serve("b")
    world.serve("::1")
    world.start()
    world.send("u@[127.0.0.12]")
    world.send("u@[IPv6:::1]")
    world.arrives("b", "u@[127.0.0.12]")
    world.arrives("::1", "u@[IPv6:::1]")


def test_an_idna_name(world):
    world.serve("a")
    world.mx("xn--mller-kva.test", "a")
    world.start()
    world.send("u@xn--mller-kva.test")
    world.arrives("a", "u@xn--mller-kva.test")


def test_a_dead_host_and_one_without_an_address_are_passed_over(world):
    world.serve("d")
    world.mx("dead.test", "a", "20 b", "30 nosuch", "40 d")
    world.start()
    world.send("u@dead.test")
    world.arrives("d", "u@dead.test")


def test_twenty_hosts_and_only_the_last_lives(world):
    world.serve("e")
    world.names.add("big.test", "MX", *[f"{i} h{i}.mx.test." for i in range(1, 20)], "99 e.mx.test.")
    for i in range(1, 20):
        world.names.add(f"h{i}.mx.test", "A", HOSTS["a"])
    world.names.rule("big.test", "truncate")
    world.start()
    world.send("u@big.test")
    world.arrives("e", "u@big.test")


def test_ipv6_goes_first_and_ipv4_beside_it_when_it_is_silent(world):
    """2001:db8::1 leads nowhere or is refused at once, which of the two depends on the machine."""
    world.serve("b")
    world.serve("::1")
    world.names.add("six.mx.test", "AAAA", "::1").add("six.mx.test", "A", HOSTS["b"])
    world.names.add("gone.mx.test", "AAAA", "2001:db8::1").add("gone.mx.test", "A", HOSTS["b"])
    world.mx("six.test", "six")
    world.mx("gone.test", "gone")
    world.start()
    begun = time.monotonic()
    world.send("u@six.test")
    world.arrives("::1", "u@six.test")
    world.send("u@gone.test")
    world.arrives("b", "u@gone.test")
    assert time.monotonic() - begun < 8


def test_ipv6_off(world):
    world.serve("b")
    world.serve("::1")
    world.names.add("six.mx.test", "AAAA", "::1").add("six.mx.test", "A", HOSTS["b"])
    world.mx("six.test", "six")
    world.start(block="ipv6 off")
    world.send("u@six.test")
    world.arrives("b", "u@six.test")


def test_the_hosts_file_says_nothing_about_exchangers(world):
    """localhost is always loopback, but a name that only a hosts file knows has no address."""
    world.mx("here.test", "a")
    world.names.drop("a.mx.test")
    world.start()
    world.send("u@here.test")
    assert "a.mx.test" in world.waits("u@here.test")["last_reply"]


# what servers say

def test_a_host_that_puts_off_hands_on_to_the_next_one(world):
    world.serve("a", script=lambda stage, s, arg: "451 4.3.0 busy" if stage == "rcpt" else None)
    world.serve("b")
    world.mx("busy.test", "a", "20 b")
    world.start("retry 1h")
    world.send("u@busy.test")
    world.arrives("b", "u@busy.test")


def test_what_the_first_host_said_stands_when_no_other_can_be_reached(world):
    world.serve("a", script=lambda stage, s, arg: "451 4.3.0 busy" if stage == "rcpt" and "bad" in arg else None)
    world.mx("busy.test", "a", "20 b")
    world.start("retry 1h")
    world.send("good@busy.test", "bad@busy.test")
    world.arrives("a", "good@busy.test")
    r = world.waits("bad@busy.test")
    assert "451 4.3.0 busy" in r["last_reply"] and "a.mx.test" in r["remote"]
    assert len(world.up["a"].messages) == 1


def test_a_refusal_at_the_greeting_is_the_hosts_and_not_the_messages(world):
    world.serve("a", script=lambda stage, s, arg: "554 5.7.1 no service for you" if stage == "connect" else None)
    world.serve("b")
    world.mx("rude.test", "a", "20 b")
    world.start()
    world.send("u@rude.test")
    world.arrives("b", "u@rude.test")
    assert not world.bounces.messages


def test_one_refused_recipient_bounces_alone(world):
    world.serve("a", script=lambda stage, s, arg: "550 5.1.1 no such user" if stage == "rcpt" and "bad" in arg else None)
    world.mx("part.test", "a")
    world.start()
    world.send("one@part.test", "bad@part.test", "two@part.test")
    m = world.arrives("a", "one@part.test")
    assert m.rcpts == ["one@part.test", "two@part.test"]
    text = world.bounce("bad@part.test")
    assert re.findall(r"(?mi)^Final-Recipient: *rfc822; *(\S+)", text) == ["bad@part.test"]


def test_a_refusal_for_our_addresss_sake_is_tried_by_the_other_family(world):
    world.serve("::1", script=lambda stage, s, arg: "550 5.7.1 your address has a bad name" if stage == "rcpt" else None)
    world.serve("b")
    world.names.add("two.mx.test", "AAAA", "::1").add("two.mx.test", "A", HOSTS["b"])
    world.mx("two.test", "two")
    world.start()
    world.send("u@two.test")
    world.arrives("b", "u@two.test")
    assert not world.bounces.messages


def test_and_counts_when_both_families_are_refused(world):
    def refuse(stage, s, arg):
        return "550 5.7.1 your address has a bad name" if stage == "rcpt" else None
    world.serve("::1", "b", script=refuse)
    world.names.add("two.mx.test", "AAAA", "::1").add("two.mx.test", "A", HOSTS["b"])
    world.mx("two.test", "two")
    world.start()
    world.send("u@two.test")
    assert "5.7.1" in world.bounce("u@two.test")
    assert world.up["b"].sessions and world.up["::1"].sessions


def test_with_one_family_it_counts_at_once(world):
    world.serve("a", script=lambda stage, s, arg: "550 5.7.1 no" if stage == "rcpt" else None)
    world.mx("one.test", "a")
    world.start("retry 1h")
    world.send("u@one.test")
    assert "5.7.1" in world.bounce("u@one.test")


# transactions and connections

def test_recipients_of_a_domain_share_a_transaction(world):
    world.serve("a")
    world.mx("many.test", "a")
    world.mx("more.test", "a")
    world.start()
    world.send(*[f"a{i}@{d}.test" for i in range(8) for d in ("many", "more")])
    assert until(lambda: all(world.up["a"].to(f"a{i}@{d}.test") for i in range(8) for d in ("many", "more")))
    assert len(world.up["a"].messages) == 2


def test_domains_with_the_same_hosts_share_connections(world):
    world.serve("a")
    for i in range(10):
        world.mx(f"d{i}.test", "a", "20 b")
    world.start(block="connections 1")
    for i in range(10):
        world.send(f"u@d{i}.test")
    assert until(lambda: len(world.up["a"].messages) == 10)
    assert len(world.up["a"].sessions) == 1


def test_and_even_the_transaction_once_that_is_known(world):
    world.serve("a")
    world.mx("one.test", "a")
    world.mx("two.test", "a")
    world.start()
    for d in ("one", "two"):
        world.send(f"first@{d}.test")
        world.arrives("a", f"first@{d}.test")
    world.send("u@one.test", "u@two.test")
    assert world.arrives("a", "u@two.test").rcpts == ["u@one.test", "u@two.test"]


def test_a_limit_for_each_host_holds_over_all_its_sites(world):
    world.serve("a", script=lambda stage, s, arg: (.1, None) if stage == "body" else None)
    for i in range(6):
        world.mx(f"d{i}.test", "a", f"{20 + i} h{i}")
    world.start(block="connections-per-host 2; idle-timeout 1s")
    for i in range(24):
        world.send(f"u{i}@d{i % 6}.test")
    assert until(lambda: len(world.up["a"].messages) == 24, 30)
    assert world.up["a"].most == 2


# names

def test_a_null_mx_bounces_at_once(world):
    world.serve("a")
    world.names.add("null.test", "MX", "0 .").add("null.test", "A", HOSTS["a"])
    world.start("retry 1h")
    world.send("u@null.test")
    text = world.bounce("u@null.test")
    assert re.search(r"(?m)^Status: 5\.1\.10", text) and "556" in text
    assert not world.up["a"].messages


@pytest.mark.parametrize("rule", ["servfail", "timeout", "refused"])
def test_a_name_server_that_fails_defers_and_never_bounces(world, rule):
    world.serve("a")
    world.names.add("bad.test", "A", HOSTS["a"])
    world.names.rule("bad.test", rule, "MX")
    world.start()
    world.send("u@bad.test")
    if rule != "timeout":
        r = world.waits("u@bad.test")
        assert r["last_reply"].startswith("450 4.4.3") and "MX" in r["last_reply"] and r["status"] == "deferred"
    world.names.rule("bad.test", None, "MX")
    world.names.add("bad.test", "MX", "10 a.mx.test.")
    world.arrives("a", "u@bad.test", 40)
    assert not world.bounces.messages


def test_an_address_lookup_that_fails_is_temporary_too(world):
    world.names.add("plain.test", "TXT", "no mx")
    world.names.rule("plain.test", "servfail", "A").rule("plain.test", "servfail", "AAAA")
    world.start("retry 1h")
    world.send("u@plain.test")
    assert world.waits("u@plain.test")["last_reply"].startswith("450 4.4.3")


def test_a_domain_that_does_not_exist_bounces_after_a_second_answer(world):
    world.start("retry 1s 1s")
    world.send("u@nothing.test")
    assert world.waits("u@nothing.test")["last_reply"].startswith("450 4.1.2")
    assert re.search(r"(?m)^Status: 5\.1\.2", world.bounce("u@nothing.test"))
    assert world.names.asked("nothing.test", "MX") >= 2


def test_a_domain_with_neither_mx_nor_address_is_none(world):
    world.names.add("empty.test", "TXT", "nothing here")
    world.start("retry 1s 1s")
    world.send("u@empty.test")
    text = world.bounce("u@empty.test")
    assert re.search(r"(?m)^Status: 5\.1\.2", text) and "neither MX nor address" in text


def test_and_not_when_the_second_answer_is_another(world):
    world.serve("a")
    world.names.rule("flap.test", "nxdomain")
    world.mx("flap.test", "a")
    world.start("retry 2s 1s")
    world.send("u@flap.test")
    world.waits("u@flap.test")
    world.names.rule("flap.test", None)
    world.arrives("a", "u@flap.test")
    assert not world.bounces.messages


def test_the_first_answer_is_remembered_across_a_restart(world):
    world.start("retry 3s 1s")
    world.send("u@nothing.test")
    world.waits("u@nothing.test")
    world.d.restart()
    asked = world.names.asked("nothing.test", "MX")
    assert re.search(r"(?m)^Status: 5\.1\.2", world.bounce("u@nothing.test"))
    assert world.names.asked("nothing.test", "MX") == asked + 1


def test_a_signature_that_is_wrong_defers(world):
    world.serve("a")
    world.names.sign("signed.test").add("signed.test", "MX", "10 a.mx.test.")
    world.names.rule("signed.test", "bogus", "MX")
    d = world.start("retry 1h", start=False)
    anchors = d.dir / "anchors"
    anchors.write_text(world.names.anchors())
    anchors.chmod(0o644)
    d.conf.write_text(d.conf.read_text().replace("dnssec off", f"dnssec on\ntrust-anchor {anchors}"))
    d.start()
    world.send("u@signed.test")
    r = world.waits("u@signed.test")
    assert r["last_reply"].startswith("450 4.4.3") and "DNSSEC" in r["last_reply"]


def test_a_slow_domain_holds_up_nobody_else(world):
    world.serve("a")
    world.mx("ok.test", "a")
    world.names.rule("slow.test", "timeout")
    world.start()
    for i in range(60):
        world.send(f"s{i}@slow.test")
    begun = time.monotonic()
    world.send("u@ok.test")
    world.arrives("a", "u@ok.test", 5)
    assert time.monotonic() - begun < 3
    assert not world.bounces.messages


def test_an_answer_is_asked_for_once(world):
    world.serve("a")
    world.mx("once.test", "a")
    world.start()
    for i in range(30):
        world.send(f"u{i}@once.test")
    assert until(lambda: len(world.up["a"].messages) == 30)
    assert world.names.asked("once.test", "MX") == 1


# ourselves

def test_mail_that_would_come_back_to_us_is_refused(world):
    world.names.add("loop.test", "MX", "10 relay.test.", "20 a.mx.test.")
    world.serve("a")
    world.start("retry 1h")
    world.send("u@loop.test")
    assert re.search(r"(?m)^Status: 5\.4\.6", world.bounce("u@loop.test"))
    assert not world.up["a"].messages


def test_only_hosts_better_than_ourselves_are_used(world):
    world.serve("b", script=lambda stage, s, arg: "421 4.3.2 not now" if stage == "connect" else None)
    world.serve("c")
    world.names.add("backup.test", "MX", "10 b.mx.test.", "20 RELAY.test.", "30 c.mx.test.")
    world.start("retry 1h")
    world.send("u@backup.test")
    assert "421" in world.waits("u@backup.test")["last_reply"]
    assert not world.up["c"].sessions


def test_our_own_address_is_known_too(world):
    world.mx("loop.test", "a")
    world.start(f"retry 1h\nlisten {HOSTS['a']}:{world.port} {{ }}\nlisten 127.0.0.1:{{port}} {{ allow 127.0.0.0/8 }}")
    world.send("u@loop.test", "u@[127.0.0.11]")
    for to in ("u@loop.test", "u@[127.0.0.11]"):
        assert re.search(r"(?m)^Status: 5\.4\.6", world.bounce(to))


# the other kinds

def test_a_smarthost_found_by_mx(world):
    world.serve("a", "b")
    world.names.add("isp.test", "MX", "10 a.mx.test.", "20 b.mx.test.")
    world.names.rule("gone.test", "nxdomain")
    world.start("retry 1s 1s\nroute to elsewhere.test via hub\nroute to nowhere.test via none\n"
                    "transport hub { smarthost mx isp.test }\ntransport none { smarthost mx gone.test }")
    # port 25 is where exchangers listen, and nobody does here
    world.send("u@elsewhere.test")
    r = world.waits("u@elsewhere.test")
    assert "a.mx.test[127.0.0.11]:25" in r["last_reply"] and "b.mx.test[127.0.0.12]:25" in r["last_reply"]
    world.send("u@nowhere.test")
    assert until(lambda: [m for m in world.d.queue() if m["attempts"] >= 4 and m["recipients"][0]["address"] == "u@nowhere.test"], 10)
    assert world.waits("u@nowhere.test")["last_reply"].startswith("450 4.1.2")
    assert not world.bounces.messages, "a mistake of ours is nobody's bounce"


def test_the_next_transport_takes_over_when_names_cannot_be_resolved(world):
    other = world.sink()
    world.names.rule("bad.test", "servfail")
    world.start(f"transport backup {{ smarthost 127.0.0.1:{other.port} }}\nroute to bad.test via mx backup")
    world.send("u@bad.test")
    assert until(lambda: other.to("u@bad.test"), 10)


def test_direct_as_the_second_transport(world):
    world.serve("a")
    world.mx("x.test", "a")
    world.start(f"transport first {{ smarthost 127.0.0.1:{free_port()} }}\nroute to x.test via first mx")
    world.send("u@x.test")
    world.arrives("a", "u@x.test")


def test_the_built_in_direct_needs_no_statement(daemon, names):
    names.add("there.test", "MX", "10 a.mx.test.").add("a.mx.test", "A", "127.0.0.77")
    d = daemon(f"retry 1h\nwarn-after off\nresolver {names.address}\ndnssec off\nroute to x@there.test via direct\n")
    for to in ("x@there.test", "y@there.test"):
        assert send(d.port, "from@here.test", [to], message("m"))[0] == 250
    assert until(lambda: [m for m in d.queue() if "a.mx.test[127.0.0.77]:25" in (m["recipients"][0]["last_reply"] or "")] * 1, 10)
    assert until(lambda: len([m for m in d.queue() if "127.0.0.77" in (m["recipients"][0]["last_reply"] or "")]) == 2, 10)
    assert all(m["transport"] == "direct" for m in d.queue())


def test_a_new_configuration_asks_anew(world):
    world.serve("a", "b")
    world.mx("move.test", "a")
    world.start()
    world.send("one@move.test")
    world.arrives("a", "one@move.test")
    world.names.set("move.test", "MX", "10 b.mx.test.")
    d = world.d
    d.signal(signal.SIGHUP)
    assert d.wait_event("queue", text="new configuration in place")
    world.send("two@move.test")
    world.arrives("b", "two@move.test")
