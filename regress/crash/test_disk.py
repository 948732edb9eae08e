"""A disk that is full, and one that cannot be written: new mail waits outside, what is inside goes on."""
import os
import re
import shutil
import subprocess

import pytest

from harness.client import Client, message
from harness.daemon import until, work_user

CONF = """
disk-reserve {reserve}
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off }}
retry 1s 1s
"""
LARGE = b"a line of a body that takes room on a small disk, and more of it\r\n" * 10000


@pytest.fixture
def small_disk(daemon, sink):
    """small_disk(reserve) -> a daemon on a disk of 120 MiB, and its sink."""
    mounted = []

    def make(reserve):
        out = sink()
        d = daemon(CONF.format(port=out.port, reserve=reserve), start=False)
        d.spool.mkdir()
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120M,mode=0755", "none", str(d.spool)], capture_output=True, text=True)
        if r.returncode != 0:
            pytest.skip("a file system cannot be mounted here: " + r.stderr.strip())
        mounted.append(d)
        shutil.chown(d.spool, work_user())
        return d.start(), out
    yield make
    for d in mounted:
        d.kill()
        subprocess.run(["umount", "-l", str(d.spool)], check=True)


def fill(d):
    """Takes all the room that is left."""
    f = os.open(d.spool / "ballast", os.O_CREAT | os.O_WRONLY)
    for n in (1 << 20, 4096):
        try:
            while True:
                os.write(f, b"\0" * n)
        except OSError:
            pass
    os.close(f)


def offer(d, ident, body=b"small\r\n"):
    c = Client(d.port)
    try:
        return c.mail("a@here.test", ["b@there.test"], message(ident, body=body))
    finally:
        c.quit()


def arrived(out):
    return sorted(re.search(rb"X-Test-Id: (\S+)", m.data).group(1).decode() for m in list(out.messages))


@pytest.mark.parametrize("reserve", ["16M", "0"])
def test_a_full_disk_refuses_mail_and_loses_none(small_disk, look, reserve):
    """With a reserve it is seen in time, without one when the database or a file finds no room."""
    d, out = small_disk(reserve)
    out.stop()                                  # so that all of it stays in the queue
    kinds = {"file": LARGE, "parts": b"parts\r\n" * 15000, "small": b"small\r\n" * 100}
    taken, refused = [], dict.fromkeys(kinds, 0)
    for i in range(2000):
        kind = list(kinds)[i % 3]
        code, text = offer(d, f"m{i:04}", kinds[kind])
        if code == 250:
            taken.append(f"m{i:04}")
        else:
            assert code == 452 and text.startswith("4.3.1"), (code, text)
            refused[kind] += 1
            if min(refused[k] for k in kinds if k != "small" or reserve != "0") > 12:
                break
    assert len(taken) > 20 and refused["file"] and refused["parts"], (len(taken), refused)
    fill(d)
    for kind in ("file", "parts"):
        code, text = offer(d, "none", kinds[kind])
        assert code == 452 and text.startswith("4.3.1"), (code, text)
    assert reserve != "0" or "the queue's database: No space left on device" in d.log
    look.verify(d)
    # what is inside leaves, on a disk without an octet of room
    out.start()
    assert until(lambda: not look.messages(d.spool), 30, 0.1), "\n".join(look("list", d.spool)[:10])
    assert arrived(out) == taken
    (d.spool / "ballast").unlink()
    assert until(lambda: offer(d, "again", LARGE)[0] == 250, 10, 0.1)
    assert until(lambda: "again" in arrived(out), 10)
    assert not re.search("ended by signal|ended with status [1-9]", d.log)
    look.verify(d)
    assert d.stop() == 0


def test_a_disk_that_cannot_be_written_is_said(small_disk, look):
    d, out = small_disk("1M")
    out.stop()
    assert offer(d, "m")[0] == 250
    assert d.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", str(d.spool)], check=True)
    with pytest.raises(AssertionError, match="ended with [1-9]"):
        d.start()
    assert re.search(r"(?i)read-only file system", d.log) and str(d.spool) in d.log
    subprocess.run(["mount", "-o", "remount,rw", str(d.spool)], check=True)
    out.start()
    d.start()
    assert until(lambda: arrived(out) == ["m"], 10)
