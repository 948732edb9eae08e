"""The order of system calls, as strace sees it: nothing is acknowledged before it is on the disk.

SIGKILL cannot show this: what a dead process has written is still in the page cache."""
import codecs
import re
import threading

import pytest

from harness.client import Client, message
from harness.daemon import until

from programs import compiled

CALLS = "openat,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,linkat,rename,renameat,mkdirat,mkdir"
CONF = """
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off }}
"""
SIZES = {"small": 300, "record": 6000, "parts": 60000, "file": 300000}
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def octets_of(ident):
    """An id as it is in the database's keys."""
    n = 0
    for c in ident:
        n = n * 32 + DIGITS.index(c)
    return n.to_bytes(8, "big")


class Call:
    """One system call; begin and end are places in the record."""
    __slots__ = ("pid", "name", "args", "result", "made", "begin", "end")       # made: what a new descriptor names

    def __repr__(self):
        return f"{self.begin}-{self.end} [{self.pid}] {self.name}({self.args[:100]}) = {self.result}"

    @property
    def path(self):
        """Of the first descriptor among the arguments."""
        g = re.search(r"\d+<([^>]*)>", self.args)
        return g.group(1) if g else ""

    @property
    def fd(self):
        return int(re.match(r"(\d+)", self.args).group(1))

    def octets(self):
        return b"".join(codecs.escape_decode(s.encode("latin-1"))[0] for s in re.findall(r'"((?:[^"\\]|\\.)*)"', self.args))


def calls(text):
    """Of strace -f -yy; those that another process interrupted are put together."""
    found, open_ = [], {}
    for i, line in enumerate(text.split("\n")):
        g = re.match(r"(\d+)\s+[\d.]+ (.*)$", line, re.S)
        if not g:
            continue
        pid, rest = int(g.group(1)), g.group(2)
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)$", rest, re.S)
        if resumed:
            begin, head = open_.pop(pid, (None, None))
            if begin is None:
                continue
            rest = head + resumed.group(2)
        else:
            begin = i
        if rest.endswith("<unfinished ...>"):
            open_[pid] = (begin, rest[:-len("<unfinished ...>")])
            continue
        g = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<([^>]*)>)?", rest, re.S)
        if not g:
            continue
        c = Call()
        c.pid, c.name, c.args, c.result, c.made, c.begin, c.end = pid, g.group(1), g.group(2), int(g.group(3)), g.group(4), begin, i
        found.append(c)
    return sorted(found, key=lambda c: c.begin)


class Transaction:
    def __init__(self):
        self.writes, self.sync, self.meta = [], None, None
        self.data = b""


def transactions(record):
    """Those of the database, each with its page writes, its sync and its meta page."""
    durable = {c.result for c in record if c.name == "openat" and "data.mdb" in c.args and re.search("O_D?SYNC", c.args)}
    assert durable, "no descriptor of the database was opened with O_DSYNC"
    found, t = [], Transaction()
    for c in record:
        if not c.path.endswith("queue/data.mdb"):
            continue
        if c.name in ("fdatasync", "fsync"):
            t.sync = t.sync or c
        elif c.name in ("write", "writev", "pwrite64", "pwritev"):
            if c.fd in durable:
                t.meta = c
                found.append(t)
                t = Transaction()
            else:
                assert t.sync is None, f"a page is written between sync and meta page: {c}"
                t.writes.append(c)
                t.data += c.octets()
    return found


@pytest.fixture
def traced(daemon, sink):
    """traced(work) -> the calls of a daemon during work(d), and the sink."""
    def run(work, fresh=False, length=2000000):
        out = sink()
        d = daemon(CONF.format(port=out.port), start=False, log="log stderr text info")
        if not fresh:               # the database is there already: 64 MiB of it are not to be recorded
            d.start()
            assert d.stop() == 0
        record = d.dir / "trace"
        d.prefix = ["strace", "-DDD", "-f", "-ttt", "-yy", "-s", str(length), "-o", str(record), "-e", "trace=" + CALLS, "-e", "signal=none"]
        d.env["LD_PRELOAD"] = str(compiled("readable", "-shared", "-fPIC", "-ldl"))
        d.start(60)
        try:
            work(d, out)
            assert d.stop(30) == 0
            pid = d.proc.pid
            assert until(lambda: f"{pid} " in (text := record.read_text("latin-1")) and
                         re.search(rf"(?m)^{pid}\s.*\+\+\+ exited", text), 10), "strace does not end"
        finally:
            d.prefix = []
            del d.env["LD_PRELOAD"]
        return calls(record.read_text("latin-1")), d
    return run


def test_a_new_queue_is_whole_before_it_has_its_name(traced):
    record, d = traced(lambda d, out: None, fresh=True, length=32)
    name = next(c for c in record if c.name.startswith("rename") and "queue/data.mdb" in c.args)
    writes = [c for c in record if c.path.endswith("queue/new/data.mdb") and "write" in c.name]
    syncs = [c for c in record if c.path.endswith("queue/new/data.mdb") and "sync" in c.name]
    assert writes and syncs and max(c.end for c in writes) < syncs[-1].begin and syncs[-1].end < name.begin
    directory = [c for c in record if c.name == "fsync" and c.path.endswith("spool/queue") and c.begin > name.end]
    ready = next(c for c in record if c.name == "write" and b"smarthostd: ready" in c.octets())
    assert directory and directory[0].end < ready.begin


def test_each_250_follows_its_syncs(traced, say):
    acked, lock = {}, threading.Lock()

    def client(port, n, errors):
        try:
            c = Client(port, timeout=60)
            for k, (kind, size) in enumerate(list(SIZES.items())[n % 2:] + [("small", 500)]):
                data = message(f"s{n}-{k}", body=(b"%d %d of a message whose syncs are watched\r\n" % (n, k)) * (size // 46))
                code, text = c.mail("a@here.test", ["b@there.test", "c@there.test"][:1 + k % 2], data)
                assert code == 250, (code, text)
                with lock:
                    acked[text.split()[-1]] = kind
            c.quit()
        except Exception as e:
            errors.append(repr(e))

    def work(d, out):
        errors = []
        threads = [threading.Thread(target=client, args=(d.port, n, errors)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not errors, errors
        assert until(lambda: len(out.messages) == len(acked), 30)

    record, d = traced(work)
    txns = transactions(record)
    said = [c for c in record if c.name in ("sendto", "write", "writev", "sendmsg") and "TCP:" in c.args and "queued as " in c.args]
    when = {}
    for c in said:
        for ident in re.findall(r"250 2\.0\.0 Ok: queued as (\w+)", c.args):
            assert ident not in when
            when[ident] = c
    assert set(when) == set(acked) and len(acked) >= 40
    for ident, kind in acked.items():
        key, ack = octets_of(ident), when[ident]
        t = next((t for t in txns if key in t.data), None)
        assert t is not None, f"{ident} ({kind}) is in no transaction"
        # pages, their sync, the meta page (which syncs itself), the reply
        assert t.sync is not None and t.sync.result == 0 and t.meta.result > 0
        assert max(w.end for w in t.writes) < t.sync.begin, (ident, t.writes, t.sync)
        assert t.sync.end < t.meta.begin, (ident, t.sync, t.meta)
        assert t.meta.end < ack.begin, f"{ident} ({kind}) was acknowledged before it was durable: {t.meta}, {ack}"
        if kind == "file":
            in_order(record, ident, t, d)
        else:
            assert not [c for c in record if c.name == "linkat" and ident in c.args]
    assert [k for k in acked.values()].count("file") >= 5
    used = {next(k for k, t in enumerate(txns) if octets_of(i) in t.data) for i in acked}
    say(f"order of syncs: {len(acked)} messages came in by {len(used)} of {len(txns)} transactions, each 250 behind its own")


def in_order(record, ident, t, d):
    """The file of a large body, its name, its directory: before the transaction that names it begins to be written."""
    link = next(c for c in record if c.name == "linkat" and ident in c.args and c.result == 0)
    fd = re.search(r"/proc/self/fd/(\d+)", link.args).group(1)
    xx = re.search(r'"([0-9a-f]{2})/' + ident, link.args).group(1)
    synced = [c for c in record if c.name in ("fsync", "fdatasync") and c.fd == int(fd) and c.pid == link.pid and c.end < link.begin and "#" in c.path]
    assert synced and synced[-1].result == 0, f"{ident}: linked before its file was synced"
    sync = synced[-1]
    # the inode's number may have been another file's, and may be again
    born = [c for c in record if c.name == "openat" and c.made == sync.path]
    first = max(c.end for c in born if c.end < sync.begin)
    last = min((c.begin for c in born if c.begin > sync.begin), default=len(record) * 99)
    writes = [c for c in record if c.name in ("write", "writev", "pwrite64") and c.path == sync.path and first < c.begin < last]
    assert sum(c.result for c in writes) >= SIZES["file"] * 0.9
    assert max(c.end for c in writes) < sync.begin, f"{ident}: written after its sync"
    directory = [c for c in record if c.name == "fsync" and c.path == f"{d.spool}/{xx}" and c.begin > link.end]
    assert directory and directory[0].result == 0
    assert directory[0].end < min(w.begin for w in t.writes), f"{ident}: the directory is synced too late"
    made = [c for c in record if c.name.startswith("mkdir") and c.args.endswith(f'"{xx}", 0700') and c.result == 0]
    for m in made:
        assert [c for c in record if c.name == "fsync" and c.path == str(d.spool) and m.end < c.begin and c.end < t.writes[0].begin], \
            "a new directory was not synced into the spool"
