"""What is too much for an internal channel is one client's trouble, and the channel's end nobody's."""
import ctypes
import os
import pathlib
import re
import socket

import pytest

from harness.client import Client, message, send
from harness.daemon import smarthost, until

SYS_PIDFD_GETFD = 438
ROLE_FD = 3


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


def channels(pid):
    """The sockets between this role and its peers, monitor's left out."""
    pidfd = os.pidfd_open(pid)
    found = []
    try:
        for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            if int(name) <= ROLE_FD or not re.match("socket:", os.readlink(f"/proc/{pid}/fd/{name}")):
                continue
            fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0:
                pytest.skip("the descriptors of another process cannot be had here")
            s = socket.socket(fileno=fd)
            if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET:
                found.append(s)
            else:
                s.close()
    finally:
        os.close(pidfd)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="takes the descriptors of another user's process")
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("role", ["listener", "delivery"])
def test_garbage_costs_its_sender_its_life(daemon, sink, role, which):
    s = sink()
    d = daemon("retry 1s\n" + smarthost(s.port))
    before = d.role(role)[0]
    to = channels(before)           # queue and auth
    assert len(to) == 2
    to[which].send(b"\xff" * 40)
    for c in to:
        c.close()
    assert until(lambda: d.role(role) and d.role(role) != [before])
    assert d.wait_event("role", role="monitor", level="error")

    def taken():
        try:
            return send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
        except OSError:
            return False
    assert until(taken)
    assert until(lambda: s.to("to@there.test"))
    assert pathlib.Path(d.log_path).read_text().count("cannot work with it") == 1


def test_a_report_larger_than_a_channel_takes_in_one_piece(daemon, sink):
    s = sink(lambda stage, session, arg: "550 5.1.1 nobody here" if stage == "rcpt" and "victim" in str(arg) else None)
    d = daemon("retry 1s\nbounce-to sender\n" + smarthost(s.port, "recipients-per-message 1000"))
    c = Client(unix=d.run / "submit.sock")
    whole = message("whole", body=b"".join(b"%070d\r\n" % i for i in range(6800)))
    wanted = [f"{i:0230d}.victim@there.test" for i in range(1000)]
    assert c.pipelined("from@here.test", wanted, whole, params=" RET=FULL")[0] == 250
    c.quit()
    assert until(lambda: s.to("from@here.test"), 30)
    report = s.to("from@here.test")[0].data
    assert len(report) > 1024 * 1024 and whole in report
    assert d.wait_empty() and len(s.messages) == 1
