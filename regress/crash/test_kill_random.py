"""Two hundred deaths: each role is killed at any moment, under load, and nothing that was acknowledged is lost."""
import collections
import os
import pathlib
import random
import re
import signal
import time

from harness.daemon import ROLES, until

from load import Ledger, Load, counting_sink, trouble

KILLS = int(os.environ.get("CRASH_KILLS", 300))
SESSIONS = int(os.environ.get("CRASH_SESSIONS", 30))
# monitor restarts a role after 0.1 s, doubling: so many deaths, and then its own, which makes it forget
DEATHS = (8, 14)
CONF = """
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off; connections 12; connections-per-host 12 }}
retry 1s 2s
processes listener 2 delivery 2
"""


class Killer:
    def __init__(self, daemon, look, rng):
        self.d, self.look, self.rng = daemon, look, rng
        self.kills = collections.Counter()
        self.in_flight = []             # at each death that can make a duplicate: {(id, recipient)}
        self.left = rng.randint(*DEATHS)

    def run(self, kills):
        while sum(self.kills.values()) < kills:
            until(lambda: False, self.rng.uniform(0.02, 0.16), 0.01)    # any moment
            if self.left > 0:
                self.role()
            else:
                self.all()

    def role(self):
        self.left -= 1
        alive = {name: pids for name in ROLES if (pids := self.d.role(name))}
        if not alive:
            return
        name = self.rng.choice(sorted(alive))
        pid = self.rng.choice(alive[name])
        try:
            if name in ("queue", "delivery"):
                os.kill(pid, signal.SIGSTOP)            # what is in flight now is what its death can double
                self.in_flight.append(self.look.leased(self.d.spool))
            os.kill(pid, signal.SIGKILL)
            self.kills[name] += 1
        except ProcessLookupError:
            pass

    def all(self):
        """monitor dies, and its roles by themselves."""
        log = self.d.log_path.stat().st_size
        self.d.proc.kill()
        self.d.proc.wait()
        dead = time.monotonic()
        assert until(lambda: not self.d.pids(), 5.5), f"monitor is dead, and these live: {self.d.pids()}"
        self.longest = max(getattr(self, "longest", 0), time.monotonic() - dead)
        # in flight was what still is, and what queue had the time to give up
        with open(self.d.log_path, errors="replace") as f:
            f.seek(log)
            gone = re.findall(r"delivery: id=(\w+) from=\S+ to=<([^>]*)> .*the process that delivered it has ended", f.read())
        self.in_flight.append(self.look.leased(self.d.spool) | set(gone))
        self.kills["monitor"] += 1
        self.left = self.rng.randint(*DEATHS)
        self.d.start()


def tale(d, ident):
    """What the log says of a message, and of deaths meanwhile."""
    lines = d.log.splitlines()
    own = [i for i, line in enumerate(lines) if ident in line]
    return "\n".join(line for i, line in enumerate(lines) if own and own[0] - 50 <= i <= own[-1] + 50 and
                     (ident in line or re.search("ended by signal|monitor is gone|recovery|ready|stopped", line)))


def spool_files(spool):
    return [f for d in pathlib.Path(spool).iterdir() if re.fullmatch("[0-9a-f]{2}", d.name) for f in d.iterdir()]


def test_nothing_is_lost_when_roles_are_killed(daemon, look, say):
    seed = os.environ.get("CRASH_SEED", str(random.randrange(1 << 32)))
    rng = random.Random(seed)
    ledger = Ledger()
    out = counting_sink(ledger, trouble(random.Random(seed)))
    d = daemon(CONF.format(port=out.port), log="log stderr text info")
    began = time.monotonic()
    load = Load(d.port, ledger, SESSIONS, seed)
    killer = Killer(d, look, rng)
    try:
        killer.run(KILLS)
    finally:
        load.stop()
    killed = time.monotonic()
    empty = until(lambda: not look("list", d.spool) or not look.messages(d.spool), 40, 0.25)
    seconds = time.monotonic() - began
    doubles = ledger.duplicates()
    bound = collections.Counter(k for s in killer.in_flight for k in s)
    say(f"seed {seed}: {sum(killer.kills.values())} kills ({', '.join(f'{k} {n}' for k, n in sorted(killer.kills.items()))}) in {killed - began:.0f} s, "
        f"{seconds:.0f} s until the queue was empty\n"
        f"{len(ledger.sent)} messages sent, {len(ledger.acked)} acknowledged, {len(ledger.of)} arrived ({ledger.octets >> 20} MiB), "
        f"refused {dict(ledger.refused)}, {load.broken} connections lost\n"
        f"lost {len(ledger.missing())}, duplicates {sum(doubles.values())} of {sum(bound.values())} recipients in flight at the kills")
    assert empty, "the queue does not empty:\n" + "\n".join(look("list", d.spool)[:50])
    assert not ledger.problems()
    # a second copy needs a death that it was in flight at
    for k, n in doubles.items():
        assert n <= bound[k], f"{k} came {n + 1} times, and was in flight at {bound[k]} kills:\n" + tale(d, k[0])
    assert ledger.acked and sum(killer.kills.values()) >= KILLS
    own = re.findall(r"was ended by signal (?!9\b).*|.* ended with status [1-9].*", d.log)
    assert not own, own[:5]
    assert not out.errors, out.errors
    clean(d, look, say)


def clean(d, look, say):
    """Nothing is found but files that wait for the sweep; after it nothing at all."""
    orphan = "a body file that no message has"
    assert [line for line in look("verify", d.spool) if orphan not in line] == []
    assert d.stop() == 0
    left = spool_files(d.spool)
    later = d.dir / "offset"
    later.write_text("120000")
    assert look("sweep", d.spool, SMARTHOSTD_CLOCK_OFFSET_FILE=str(later)) == []
    assert spool_files(d.spool) == [], "left by the sweep"
    say(f"{len(left)} files of messages that did not come to be were swept")
    d.start()
    look.verify(d)
