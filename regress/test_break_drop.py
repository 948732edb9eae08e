"""SPOOL/drop is open to every user of the machine: what they may put there."""
import os

import pytest

from harness.daemon import smarthost, until


def refused(d):
    return d.events("drop")


def test_a_name_as_long_as_can_be_is_refused_once(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port))
    name = "n" * 255
    part = d.spool / "drop" / ".part"
    part.write_bytes(b"this is no message of the shim\n")
    part.rename(d.spool / "drop" / name)
    assert until(lambda: refused(d))
    # a second one is heard of behind it, and the first is not tried again
    part.write_bytes(b"nor is this\n")
    part.rename(d.spool / "drop" / "second")
    assert until(lambda: any(e["text"].startswith("second ") for e in refused(d)))
    assert len(refused(d)) == 2
    assert all(f.startswith(".") for f in os.listdir(d.spool / "drop"))


def put(d, name, recipients, uid):
    part = d.spool / "drop" / f".{name}"
    part.write_bytes(b"MAIL FROM:<from@here.test>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % r.encode() for r in recipients) +
                     b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n")
    part.chmod(0o600)
    os.chown(part, uid, uid)
    part.rename(d.spool / "drop" / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of other users")
def test_one_user_does_not_hold_up_the_others(daemon, sink):
    s = sink()
    d = daemon("retry 1s\nmax-recipients 3\n" + smarthost(s.port))
    d.stop()
    for i in range(10):         # 452 each time it is tried
        put(d, f"a{i}", [f"many{k}@there.test" for k in range(4)], 5)
    for i in range(10):
        put(d, f"b{i}", [f"good{i}@there.test"], 6 + i % 2)
    d.start()
    assert until(lambda: len(s.messages) == 10, 10), [m.rcpts for m in s.messages]
    put(d, "c", ["last@there.test"], 6)
    assert until(lambda: s.to("last@there.test"), 5)
    assert until(lambda: len([f for f in os.listdir(d.spool / "drop") if not f.startswith(".")]) == 10)
