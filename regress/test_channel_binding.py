"""SCRAM bound to the TLS session, with servers that do not know our type of binding.  Of Debian 12's servers none offers
-PLUS (Dovecot 2.3 has none, Postfix gives Cyrus SASL no binding, Exim is built without GNU SASL); GNU SASL does, and refuses
a type that it has not at the first message, Cyrus SASL at the last."""
import signal

import pytest

from harness.daemon import until
from test_auth_mechanisms import Choosy, ca, needs, out, to_up, waits  # noqa: F401
from test_saslprep import gnusasl  # noqa: F401

BOTH = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"
PASSWORD = "pa ss-W:1%="


def auths(s):
    return [c.split()[1] for x in s.sessions for c in x.commands if c.upper().startswith("AUTH ")]


@needs("gsasl")
def test_a_server_without_our_binding(daemon, gnusasl, ca):     # noqa: F811
    s = gnusasl(BOTH, PASSWORD)
    d = daemon(to_up(s.port, ca, "messages-per-connection 1", password=PASSWORD))
    out(d, "one")
    assert until(lambda: len(s.messages) == 1, 15), d.log[-3000:]
    out(d, "two")
    assert until(lambda: len(s.messages) == 2, 15), d.log[-3000:]
    # one login more than without, once
    assert auths(s) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256"]
    assert len(d.events("channel-binding", transport="up", relay="localhost", type="tls-exporter")) == 1
    assert not [e for e in d.events("delivery") if e["status"] != "sent"]
    # a reload begins anew
    d.signal(signal.SIGHUP)
    assert until(lambda: d.events("reload"), 15)
    out(d, "three")
    assert until(lambda: len(s.messages) == 3, 15), d.log[-3000:]
    assert auths(s)[3:] == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]


@needs("gsasl")
def test_a_wrong_password_too(daemon, gnusasl, ca):     # noqa: F811
    s = gnusasl(BOTH, PASSWORD)
    d = daemon(to_up(s.port, ca, password="wrong"))
    out(d)
    waits(d, "AUTH refused")
    assert auths(s) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]


@needs("gsasl")
@pytest.mark.parametrize("how", ["auth-mechanisms SCRAM-SHA-256-PLUS", "auth-mechanisms SCRAM-SHA-256-PLUS SCRAM-SHA-256", "tls opportunistic"])
def test_the_binding_is_not_given_up(daemon, gnusasl, ca, how):     # noqa: F811
    """Where it was asked for, where the password is not to be shown, where the server is not known."""
    s = gnusasl(BOTH, PASSWORD)
    d = daemon(to_up(s.port, ca, how, password=PASSWORD))
    out(d)
    waits(d, "AUTH refused")
    assert auths(s) == ["SCRAM-SHA-256-PLUS"] and not s.messages
    assert not d.events("channel-binding")


class Picky(Choosy):
    """Says no with a name of RFC 5802, or only at the end."""

    def __init__(self, word, *args, **kw):
        super().__init__(*args, twist=lambda step, text: text if word is None or self.bare else f"e={word}", **kw)

    async def _auth(self, reader, writer, arg):
        self.bare = not arg.split()[0].endswith("-PLUS")
        return await super()._auth(reader, writer, arg)


@pytest.mark.parametrize("word,good", [("unsupported-channel-binding-type", True), ("channel-binding-not-supported", True), ("unknown-user", False), (None, False)])
def test_a_server_that_says_why(daemon, ca, word, good):     # noqa: F811
    s = Picky(word, BOTH, {"scanner": PASSWORD}, tls=ca.server("localhost", "127.0.0.1", file="picky"))
    try:
        d = daemon(to_up(s.port, ca, password=PASSWORD))
        out(d)
        if good:
            assert until(lambda: s.messages, 15), d.log[-3000:]
            assert s.messages[0].session.login == ("scanner", "SCRAM-SHA-256", "n")
        else:
            waits(d, "AUTH")
            assert auths(s) == ["SCRAM-SHA-256-PLUS"]
    finally:
        s.stop()
