"""What somebody smuggles behind a wrong end of data arrives nowhere as a message of its own: not here, and not at the Postfix or Exim behind us,
whatever those make of bare CR and LF."""
import pytest

from harness import exim, postfix
from harness.client import Client, message, send
from harness.daemon import smarthost, until

# between the text and what is smuggled; the real end of the message comes behind that
ENDS = {"lf.lf": b"\n.\n", "lf.crlf": b"\n.\r\n", "crlf.lf": b"\r\n.\n", "cr.cr": b"\r.\r", "cr.crlf": b"\r.\r\n", "crlf.cr": b"\r\n.\r",
        "lf.cr": b"\n.\r", "cr.lf": b"\r.\n", "crcrlf.crcrlf": b"\r\r\n.\r\r\n", "crlf.crcrlf": b"\r\n.\r\r\n", "lfcr.lfcr": b"\n\r.\n\r",
        "nul": b"\r\n\0.\r\n", "nul after": b"\r\n.\0\r\n", "nul within": b"\r\n.\r\0\n", "blank": b"\r\n. \r\n", "dots": b"\n..\n", "nel": b"\xc2\x85.\xc2\x85",
        "ls": b"\xe2\x80\xa8.\xe2\x80\xa8", "vt": b"\x0b.\x0b", "ff": b"\x0c.\x0c"}
SMUGGLED = b"MAIL FROM:<evil@here.test>\r\nRCPT TO:<smuggled@there.test>\r\nDATA\r\nX-Test-Id: smuggled\r\n\r\nsmuggled\r\n"


class Peers:
    KINDS = {
        # as it was before anybody had heard of smuggling
        "postfix": pytest.param(lambda: postfix.Postfix("smtpd_forbid_bare_newline = no", "smtpd_forbid_unauth_pipelining = no"), marks=postfix.NEEDED, id="postfix"),
        "exim": pytest.param(exim.Exim, marks=exim.NEEDED, id="exim"),
    }


@pytest.fixture(params=Peers.KINDS.values())
def peer(request):
    p = request.param()
    yield p
    if getattr(request.node, "failed", True):
        print("--- the peer\n" + p.text()[-5000:])
    p.stop()


def smuggle(port, ident, how, end):
    """-> the reply's code"""
    c = Client(port)
    try:
        body = message(ident, body=b"text") + end + SMUGGLED
        if how == "bdat":
            return c.bdat("from@here.test", ["to@there.test"], body)[0]
        for line in ("MAIL FROM:<from@here.test>", "RCPT TO:<to@there.test>"):
            assert c.cmd(line)[0] == 250
        assert c.cmd("DATA")[0] == 354
        c.send(body + b".\r\n")
        return c.reply()[0]
    finally:
        c.close()


@pytest.mark.parametrize("mode", ["reject", "fix"])
def test_what_is_smuggled_is_no_message_at_the_next_hop(daemon, peer, mode):
    d = daemon(f"listen 127.0.0.1:{{port}} {{ allow 127.0.0.0/8; bare-lf {mode} }}\n" + smarthost(peer.port, "tls off"))
    taken = []
    for how in ("data", "bdat"):
        for name, end in ENDS.items():
            code = smuggle(d.port, f"{how} {name}", how, end)
            assert code in (250, 521, 554), (how, name, code)
            taken += [f"{how} {name}"] if code == 250 else []
    assert send(d.port, "from@here.test", ["to@there.test"], message("last"))[0] == 250
    assert taken, "nothing was taken: then nothing is proven"
    assert until(lambda: len(peer.box()) >= len(taken) + 1 and not d.queue(), 30), (len(peer.box()), taken, d.queue())
    raw = [f.read_bytes() for f in peer.box()]
    # one for each 250, none for somebody else
    idents = sorted(r.split(b"X-Test-Id: ", 1)[1].split(b"\n", 1)[0].strip().decode() for r in raw)
    assert idents == sorted(taken + ["last"])
    assert not [r for r in raw if b"smuggled@there.test" in r.split(b"\n\n", 1)[0]]
