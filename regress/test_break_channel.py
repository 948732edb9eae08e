"""What is too much for an internal channel is one client's trouble, and the channel's end nobody's."""
import socket

import pytest

from harness.client import Client, message, send
from harness.daemon import smarthost, until

pytestmark = pytest.mark.slow if hasattr(pytest.mark, "slow") else []


def crowd(n, width):
    return [f"{i:0{width - 11}d}@there.test" for i in range(n)]


def test_more_recipients_than_a_channel_takes(daemon, sink):
    s = sink()
    d = daemon("max-recipients 100000\n" + smarthost(s.port))
    with socket.create_connection(("127.0.0.1", d.port), 30) as c:
        f = c.makefile("rwb")

        def ask(line):
            f.write(line + b"\r\n")
            f.flush()
            return reply()

        def reply():
            while True:
                line = f.readline()
                if line[3:4] != b"-":
                    return line
        reply()
        ask(b"EHLO crowd")
        ask(b"MAIL FROM:<from@here.test>")
        accepted = 0
        wanted = crowd(30000, 250)
        for at in range(0, len(wanted), 200):
            part = wanted[at:at + 200]
            f.write(b"".join(b"RCPT TO:<%s>\r\n" % a.encode() for a in part))
            f.flush()
            codes = {reply()[:3] for a in part}
            if codes != {b"250"}:
                assert codes <= {b"250", b"452"}, codes
                break
            accepted += len(part)
        assert accepted > 10000
        assert ask(b"DATA")[:3] == b"354"
        assert ask(b"Subject: crowd\r\n\r\nHello\r\n.")[:3] == b"250"
    send(d.port, "from@here.test", ["next@there.test"], message("next"))
    assert until(lambda: s.to("next@there.test"))
