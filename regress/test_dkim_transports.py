"""Signed mail verifies behind every kind of transport: smarthost, submission, direct, a proxy, LMTP, a program, a maildir."""
import re
import shutil

import pytest

from harness.ca import CA
from harness.client import Client
from harness.daemon import Daemon, until, work_user
from harness.dns import Names
from harness.sink import Sink
from harness.socks import Proxy
from test_dkim import MESSAGES, dkim, key, signed  # noqa: F401 (key is a fixture)

KINDS = ("smarthost", "submission", "direct", "socks", "lmtp", "mda", "maildir")
CHOSEN = ("plain", "empty body", "blank lines", "blanks", "dots", "8-bit", "folded", "odd fields", "UTF-8 header", "long lines")


class World:
    def __init__(self):
        self.ca, self.names, self.proxy = CA(), Names(), Proxy()
        self.sinks = {k: Sink() for k in ("smarthost", "direct", "socks")}
        self.sinks["submission"] = Sink(tls=self.ca.server("localhost"), users={"me": "secret"})
        self.sinks["lmtp"] = Sink(lmtp=True)
        self.names.add("direct.test", "MX", "10 mx.direct.test.").add("mx.direct.test", "A", "127.0.0.1")
        p = {k: s.port for k, s in self.sinks.items()}
        self.d = d = Daemon(
            f"resolver {self.names.address}\ndnssec off\n"
            f"transport smarthost {{ smarthost 127.0.0.1:{p['smarthost']} }}\n"
            f"transport submission {{ submission localhost:{p['submission']}; tls-ca {self.ca.file}; username me; password secret }}\n"
            f"transport mx {{ direct; port {p['direct']} }}\n"
            f"transport socks {{ smarthost 127.0.0.1:{p['socks']}; socks5 {self.proxy.address} }}\n"
            f"transport lmtp {{ lmtp 127.0.0.1:{p['lmtp']} }}\n"
            'transport mda { mda "{dir}/prog" }\ntransport maildir { maildir {dir}/mail/%u }\n'
            "route to direct.test via mx\n" + "".join(f"route to {k}.test via {k}\n" for k in KINDS if k != "direct"))
        self.box, self.mail = d.dir / "box", d.dir / "mail"
        for place in (self.box, self.mail):
            place.mkdir()
            place.chmod(0o777)
        prog = d.dir / "prog"
        prog.write_text(f"#!/bin/sh\nf=$(mktemp {self.box}/XXXXXX)\ncat > $f && mv $f $f.done\n")
        prog.chmod(0o755)
        d.start()

    def end(self):
        status = self.d.stop()
        self.d.remove()
        for s in self.sinks.values():
            s.stop()
        self.proxy.stop()
        self.names.stop()
        shutil.rmtree(self.ca.dir)
        assert status == 0

    def got(self, kind, data):
        """The octets of the copy of data that a kind has delivered, or None."""
        if kind in self.sinks:
            copies = [m.data for m in list(self.sinks[kind].messages)]
        else:
            files = self.box.glob("*.done") if kind == "mda" else self.mail.glob("*/new/*")
            copies = [re.sub(rb"\AReturn-Path: [^\n]*\n", b"", f.read_bytes()).replace(b"\n", b"\r\n") for f in files]
        found = [c for c in copies if c.endswith(data)]
        assert len(found) < 2
        return found[0] if found else None


@pytest.fixture(scope="module")
def world():
    w = World()
    yield w
    w.end()


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_survives(world, key, kind, name):  # noqa: F811
    assert name in MESSAGES
    for header, body in ((b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple"), (b"simple", b"relaxed")):
        data = signed(name, header, body, key)
        c = Client(world.d.port)
        assert c.mail("s@signed.test", [f"{work_user()}@{kind}.test"], data, params=" BODY=8BITMIME")[0] == 250
        c.quit()
        copy = until(lambda: world.got(kind, data), 15)
        assert copy, f"{header} {body}: not there, or changed"
        assert dkim.verify(copy, dnsfunc=key[1]), f"{header} {body}: the signature is broken"
        added = re.sub(rb"\r\n[ \t]+", b" ", copy[:-len(data)])
        assert re.fullmatch(rb"Received: [^\r\n]+\r\n", added), added
