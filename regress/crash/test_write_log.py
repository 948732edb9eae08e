"""The power fails at every sync: what was acknowledged until then is there, whatever of the rest is."""
import os
import random
import shutil
import subprocess

import pytest

from harness.daemon import Daemon, until, work_dir, work_user

from disk import Disk, records
from load import Ledger, Load, counting_sink, trouble
from programs import compiled

MESSAGES = int(os.environ.get("CRASH_LOG_MESSAGES", 500))
CUTS = int(os.environ.get("CRASH_CUTS", 300))
MIXED = 3               # disks of each cut that have some of what was not synced
CONF = """
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off }}
retry 1s 2s
"""


class Recorded:
    """One run of the daemon, with the log of what it wrote."""

    def __init__(self, base, seed):
        self.base, self.seed = base, seed
        self.ledger = Ledger()
        self.out = counting_sink(self.ledger, trouble(random.Random(seed)))
        self.d = d = Daemon(CONF.format(port=self.out.port), log="log stderr text info")
        self.log = base / "writes"
        self.log.touch()
        self.log.chmod(0o666)
        d.env.update(LD_PRELOAD=str(compiled("writelog", "-shared", "-fPIC", "-ldl")), WRITELOG=str(self.log), WRITELOG_UNDER=str(d.spool))

    def run(self):
        d = self.d.start()
        load = Load(d.port, self.ledger, 8, self.seed, most=40, prefix="w")
        assert until(lambda: len(self.ledger.acked) >= MESSAGES, 60), d.log
        load.stop()
        assert until(lambda: not self.ledger.missing(), 30), self.ledger.problems()
        assert d.stop() == 0
        del d.env["LD_PRELOAD"]

    def close(self):
        self.out.stop()
        self.d.remove()


@pytest.fixture(scope="module")
def recorded():
    seed = os.environ.get("CRASH_SEED", str(random.randrange(1 << 32)))
    base = work_dir("writelog-")
    r = Recorded(base, seed)
    try:
        r.run()
        yield r
    finally:
        r.close()
        shutil.rmtree(base, ignore_errors=True)


def lost(look, spool, acked, ledger):
    """What is wrong with a disk, as text."""
    try:
        lines = look("list", spool)
    except (AssertionError, subprocess.TimeoutExpired) as e:
        return [str(e)]
    wrong = [line for line in lines if line.split()[0] in ("bad", "q")]
    there = {line.split()[1] for line in lines if line.startswith("m ")}
    done = {f[1]: set(f[2:]) for f in (line.split() for line in lines if line.startswith("h "))}
    for q in acked:
        if q in there:
            continue
        if q not in done:
            wrong.append(f"{q} was acknowledged, and is neither in the queue nor in the history")
        elif q in ledger.acked and not set(ledger.sent[ledger.acked[q]][1]) <= done[q]:
            wrong.append(f"{q} is done, but not for all: {done[q]}")
    return wrong


def replay(r, look, cuts, rng, blind=(), stop=False, keep=None):
    """Cuts the log before some of the syncs; (what is wrong, cuts made, 250s seen, variants)."""
    disk = Disk(r.base / "disk", r.d.spool)
    log = list(records(r.log))
    first = next(i for i, x in enumerate(log) if x[0] == "A")
    syncs = [i for i, x in enumerate(log) if x[0] in "sY" and i > first] + [len(log)]
    chosen = set(rng.sample(syncs[:-1], min(cuts, len(syncs) - 1))) | {syncs[-1]}
    kept = rng.choice(sorted(chosen)) if keep else None
    acked, wrong, variants = [], [], 0
    for i, x in enumerate(log + [None]):
        if i == first:
            disk.blind = blind
        if i in chosen:
            # nothing but what was synced; then some of the rest too
            wrong += [f"cut at {i}: {w}" for w in lost(look, disk.root, acked, r.ledger)]
            if i == kept:
                keep(disk.root, list(acked))
            for _ in range(MIXED):
                back = disk.maybe(rng)
                wrong += [f"cut at {i}, with some unsynced writes: {w}" for w in lost(look, disk.root, acked, r.ledger)]
                back()
            variants += 1 + MIXED
            if wrong and stop:
                break
        if x is None:
            break
        if x[0] == "A":
            acked.append(x[4])
        else:
            disk.apply(*x)
    return wrong, len(chosen), acked, variants


def test_every_cut_of_the_log_keeps_what_was_acknowledged(recorded, look, daemon, say):
    r = recorded
    kept = {}

    def keep(root, acked):
        kept["acked"] = acked
        kept["spool"] = r.base / "kept"
        subprocess.run(["cp", "-r", "--sparse=always", str(root), str(kept["spool"])], check=True)
    wrong, cuts, acked, variants = replay(r, look, CUTS, random.Random(r.seed), keep=keep)
    assert not wrong, f"seed {r.seed}: {len(wrong)} findings\n" + "\n".join(wrong[:20])
    assert set(acked) == set(r.ledger.acked) and len(acked) == len(set(acked))
    say(f"write log: {cuts} cuts of {r.log.stat().st_size >> 20} MiB of writes, {variants} disks, {len(acked)} messages: none was lost (seed {r.seed})")
    goes_on(r, look, daemon, kept)


def goes_on(r, look, daemon, kept):
    """A daemon starts on what one of the cuts has left, and delivers it."""
    lines = [line.split() for line in look("list", kept["spool"])]
    done = {f[1] for f in lines if f[0] == "h"}
    ledger = Ledger()
    ledger.sent = r.ledger.sent
    out = counting_sink(ledger)
    d = daemon(CONF.format(port=out.port), start=False)
    shutil.copytree(kept["spool"], d.spool)
    if os.geteuid() == 0:
        for path in [d.spool, *d.spool.rglob("*")]:
            shutil.chown(path, work_user())
    d.start()
    assert until(lambda: not look.messages(d.spool), 30, 0.1), "\n".join(look("list", d.spool)[:20])
    due = {(q, a) for q in kept["acked"] if q not in done for a in r.ledger.sent[r.ledger.acked[q]][1]}
    before = {(f[1], f[5]) for f in lines if f[0] == "r" and f[3] == "delivered"}
    assert not (due - before) - set(ledger.arrived)
    assert not ledger.wrong
    look.verify(d)
    out.stop()


@pytest.mark.parametrize("blind,what", [("file", "its file has 0 octets"), ("directory", "No such file"), ("database", "")])
def test_a_disk_that_does_not_sync_is_noticed(recorded, look, blind, what):
    """The replay itself is tried: without one kind of sync it must find losses."""
    wrong, _, _, _ = replay(recorded, look, 12, random.Random(recorded.seed), blind=(blind,), stop=True)
    assert wrong and what in wrong[0]
