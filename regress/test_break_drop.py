"""SPOOL/drop is open to every user of the machine: what they may put there."""
import os

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
