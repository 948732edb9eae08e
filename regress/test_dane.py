"""DANE: servers whose certificates DNS vouches for (RFC 7672)."""
import hashlib
import ssl
import subprocess

import pytest

from harness.client import message, send
from harness.daemon import check, until


@pytest.fixture(scope="module")
def ca(ca):
    ca.pair = ca.cert("a.signed.test")
    ca.wrong = ca.cert("other.test", own=True)
    return ca


def server(pair):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(*pair)
    return ctx


def spki(crt):
    pem = subprocess.run(["openssl", "x509", "-in", crt, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


class World:
    def __init__(self, daemon, sink, names, ca):
        self.make_daemon, self.sink, self.names, self.ca = daemon, sink, names, ca
        names.sign("signed.test")
        names.add("a.signed.test", "A", "127.0.0.1").add("signed.test", "MX", "10 a.signed.test.")

    def serve(self, pair=None, **kw):
        self.up = self.sink(tls=server(pair or self.ca.pair), **kw)
        return self.up

    def tlsa(self, usage, selector, match, data, host="a.signed.test"):
        self.names.add(f"_{self.up.port}._tcp.{host}", "TLSA", f"{usage} {selector} {match} {data}")

    def start(self, also="", kind="direct", retry="1h"):
        what = f"direct; port {self.up.port}" if kind == "direct" else kind
        d = self.make_daemon(f"retry {retry}\nwarn-after off\nresolver {self.names.address}\ntrust-anchor {{dir}}/anchors\n"
                             f"transport t {{ {what}; {also} }}\nroute via t\n", start=False)
        (d.dir / "anchors").write_text(self.names.anchors())
        (d.dir / "anchors").chmod(0o644)
        self.d = d.start()

    def send(self, to="u@signed.test"):
        assert send(self.d.port, "from@here.test", [to], message("m"))[0] == 250

    def arrives(self):
        assert until(lambda: self.up.messages, 15), self.d.queue()
        return self.up.messages[0].session

    def waits(self):
        m = until(lambda: [m for m in self.d.queue() if m["recipients"][0]["last_reply"]], 15)
        assert m, self.d.queue()
        assert not self.up.messages
        return m[0]["recipients"][0]["last_reply"]


@pytest.fixture
def world(daemon, sink, names, ca):
    return World(daemon, sink, names, ca)


def test_a_key_that_fits(world):
    world.serve()
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert world.arrives().tls


def test_a_certificate_of_another_name_by_another_authority_that_fits_all_the_same(world):
    world.serve(world.ca.wrong)
    world.tlsa(3, 1, 1, spki(world.ca.wrong[0]))
    world.start()
    world.send()
    assert world.arrives().tls


def test_a_key_that_does_not_fit_gets_nothing(world):
    world.serve(world.ca.wrong)
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert "TLSA" in world.waits()


def test_an_authority_that_fits(world):
    world.serve(pair=chain(world.ca, "a.signed.test"))
    world.tlsa(2, 1, 1, spki(world.ca.file))
    world.start()
    world.send()
    assert world.arrives().tls


def test_an_authority_that_fits_and_a_name_that_does_not(world):
    world.serve(pair=chain(world.ca, "elsewhere.test"))
    world.tlsa(2, 1, 1, spki(world.ca.file))
    world.start()
    world.send()
    assert "another name" in world.waits()


def chain(ca, name):
    crt, key = ca.cert(name, file="chain-" + name)
    if ca.file.read_text() not in crt.read_text():
        crt.write_text(crt.read_text() + ca.file.read_text())
    return crt, key


def test_a_server_that_hides_starttls_gets_nothing(world):
    world.up = world.sink()
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert "TLS is required" in world.waits()


def test_one_of_several_records_is_enough(world):
    world.serve()
    world.tlsa(3, 1, 1, "00" * 32)
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.tlsa(9, 9, 9, "00")
    world.start()
    world.send()
    assert world.arrives().tls


def test_records_of_no_use_ask_for_tls_and_no_more(world):
    world.serve(world.ca.wrong)
    world.tlsa(1, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert world.arrives().tls


def test_records_of_no_use_and_no_tls(world):
    world.up = world.sink()
    world.tlsa(1, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert "TLS is required" in world.waits()


def test_a_lookup_that_fails_keeps_us_away(world):
    world.serve()
    world.names.rule(f"_{world.up.port}._tcp.a.signed.test", "servfail")
    world.start()
    world.send()
    assert "TLSA lookup" in world.waits()


def test_a_signature_that_is_wrong_keeps_us_away(world):
    world.serve()
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.names.rule(f"_{world.up.port}._tcp.a.signed.test", "bogus")
    world.start()
    world.send()
    assert "TLSA lookup" in world.waits()


def test_without_records_tls_as_it_comes(world):
    world.serve(world.ca.wrong)
    world.start()
    world.send()
    assert world.arrives().tls


def test_what_is_not_signed_counts_for_nothing(world):
    world.serve(world.ca.wrong)
    world.names.add("plain.test", "MX", "10 a.plain.test.").add("a.plain.test", "A", "127.0.0.1")
    world.tlsa(3, 1, 1, "00" * 32, host="a.plain.test")
    world.start()
    world.send("u@plain.test")
    assert world.arrives().tls
    assert world.names.asked(f"_{world.up.port}._tcp.a.plain.test") == 0


def test_tls_verify_off_asks_for_no_records(world):
    world.serve(world.ca.wrong)
    world.tlsa(3, 1, 1, "00" * 32)
    world.start("tls-verify off")
    world.send()
    assert world.arrives().tls


def test_an_alias_may_have_the_records(world):
    world.serve()
    world.names.set("signed.test", "MX", "10 alias.signed.test.").add("alias.signed.test", "CNAME", "a.signed.test.")
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start()
    world.send()
    assert world.arrives().tls
    assert world.names.asked(f"_{world.up.port}._tcp.a.signed.test", "TLSA")


def test_the_next_exchanger_where_the_first_is_not_safe(world, sink):
    world.serve(world.ca.wrong, host="127.0.0.21")
    good = sink(tls=server(world.ca.pair), host="127.0.0.22", port=world.up.port)
    world.names.set("a.signed.test", "A", "127.0.0.21").add("b.signed.test", "A", "127.0.0.22").add("signed.test", "MX", "20 b.signed.test.")
    world.tlsa(3, 1, 1, "00" * 32)
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]), host="b.signed.test")
    world.start()
    world.send()
    assert until(lambda: good.messages, 15) and good.messages[0].session.tls
    assert not world.up.messages


# `tls-verify dane`

def test_insisting_on_it(world):
    world.serve()
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start("tls-verify dane")
    world.send()
    assert world.arrives().tls


def test_insisting_where_there_is_no_record(world):
    world.serve()
    world.start("tls-verify dane")
    world.send()
    assert "`tls-verify dane` wants one" in world.waits()


def test_insisting_where_the_domain_is_not_signed(world):
    world.serve()
    world.names.add("plain.test", "MX", "10 a.signed.test.")
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start("tls-verify dane")
    world.send("u@plain.test")
    assert "not signed" in world.waits()


def test_a_smarthost_by_dane(world):
    world.serve()
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start("tls-verify dane", kind=f"smarthost a.signed.test:{world.up.port}")
    world.send("u@anywhere.test")
    assert world.arrives().tls


def test_a_smarthost_whose_key_does_not_fit(world):
    world.serve(world.ca.wrong)
    world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start("tls-verify dane", kind=f"smarthost a.signed.test:{world.up.port}")
    world.send("u@anywhere.test")
    assert "TLSA" in world.waits()


def test_dane_without_tls_is_a_mistake():
    status, said, _ = check("transport t { direct; tls opportunistic; tls-verify dane }\nroute via t\n")
    assert status == 78 and "does not go with" in said


@pytest.mark.parametrize("records", [False, True])
def test_a_ticket_never_stands_in_for_records(world, records):
    world.serve()
    if records:
        world.tlsa(3, 1, 1, spki(world.ca.pair[0]))
    world.start("messages-per-connection 1; connections 1")
    for i in range(3):
        world.send(f"u{i}@signed.test")
        assert until(lambda: world.up.to(f"u{i}@signed.test"))
    assert all(s.tls for s in [m.session for m in world.up.messages]) and len(world.up.messages) == 3
    assert [m.session.resumed for m in world.up.messages] == [False, not records, not records]
