"""Every FAULT("...") of the source is hit in turn: the process dies there, or the call fails, and the promise holds.

The points are found in the source, so that one which is added is tested and one which is never passed is seen."""
import os
import re
import threading

import pytest

from harness.client import Client, message
from harness.daemon import SRC, DeadPort, until

from load import digest
from test_kill_random import spool_files

# Passages of one process before the hit, where the second is not what is wanted.
NTH = dict.fromkeys(("queue.recovery", "queue.site.asked", "queue.site.answered", "delivery.site.answer"), 1)
USUAL = int(os.environ.get("CRASH_NTH", 2))
# What happens only at a start with mail in flight.
AT_START = ("queue.recovery",)
# Not passed by this mail: test_fault_credentials.py, test_fault_alerts.py.
ELSEWHERE = ("auth.", "monitor.token_", "monitor.alert.", "queue.alert.")
ERRORS = [("store.commit", "ENOSPC"), ("store.commit", "EIO"), ("store.before_commit", "ENOSPC"), ("store.body.fsync", "EIO"),
          ("store.body.fsync", "ENOSPC"), ("listener.data", "ENOSPC"), ("listener.data", "EIO"), ("listener.before_commit", "EIO"),
          ("queue.mail.received", "EIO"), ("queue.before_commit", "ENOSPC"), ("queue.before_commit", "EIO"),
          ("queue.bounce.before_commit", "EIO"), ("queue.settle.before_commit", "ENOSPC"), ("queue.park.before_commit", "EIO"),
          ("queue.move.before_commit", "ENOSPC"), ("queue.pin.before_commit", "EIO"), ("delivery.before_mail", "EIO")]
CONF = """
route to box.test via box
route to mx.test via mx
resolver {names}
dnssec off
route to away.test attempts 2 via out
route to away.test stuck.test via away
route via out
transport out {{ smarthost 127.0.0.1:{port}; tls off; connections 4; connections-per-host 4 }}
transport mx {{ direct; port {mx}; tls off }}
transport box {{ maildir {{dir}}/mail/box }}
transport away {{ smarthost 127.0.0.1:{away} }}
probe 100ms
retry 250ms 250ms 1s
bounce-to sender
"""
BODIES = {"small": b"a few words\r\n" * 40, "parts": b"a line of a body that is kept in parts, dotted\r\n.\r\n" * 800,
          "file": b"a line of a body that is kept in a file of its own\r\n..\r\n" * 4000}


def points():
    """Names of the fault points: arguments of FAULT, and words of the same form in files that hold such names."""
    found = set()
    for f in (SRC / "src").glob("*/*.c"):
        text = f.read_text()
        if "FAULT(" in text or "_fault" in text:
            found.update(re.findall(rf'"({f.parent.name}\.[a-z_.]+)"', text))
        # all are of that form
        assert found.issuperset(re.findall(r'FAULT\("([^"]*)"\)', text)), f
    return sorted(found)


class Work:
    """The same mail for every point: three kinds of bodies, one and several recipients, deferrals, refusals, local
    delivery, a domain with a mail exchanger, a transport that is closed (its mail takes another at its third due time) and one that is left by hand."""

    def __init__(self, daemon, sink, names):
        self.lock = threading.Lock()
        self.acked, self.sent, self.answers, self.errors = {}, {}, [], []
        self.deferred, self.slow, self.seen = set(), 0, 0
        self.out = sink(self.script)
        self.mx = sink(host="127.0.0.11")
        names.add("mx.test", "MX", "10 a.mx.test.")
        names.add("a.mx.test", "A", "127.0.0.11")
        self.away = DeadPort()
        self.d = daemon(CONF.format(port=self.out.port, away=self.away.port, mx=self.mx.port, names=names.address), start=False)
        mail = self.d.dir / "mail"
        mail.mkdir()
        mail.chmod(0o1777)
        self.hit = self.d.dir / "hit"
        self.hit.touch()
        self.hit.chmod(0o666)

    def script(self, stage, session, arg):
        if stage == "rcpt" and arg.startswith("nobody"):
            return "550 5.1.1 no such user"
        if stage == "body":
            if arg.rcpts[0].startswith("later") and arg.rcpts[0] not in self.deferred:
                self.deferred.add(arg.rcpts[0])
                return "451 4.3.0 not now"
            return (self.slow, None)
        return None

    def arm(self, spec):
        self.d.env.update(SMARTHOSTD_FAULT=spec, SMARTHOSTD_FAULT_HIT=str(self.hit), SMARTHOSTD_FAULT_ONCE="1")

    def started_anew(self):
        """Monitor's death is everybody's; then somebody starts it anew."""
        def run():
            if self.d.wait(20) is not None:
                until(lambda: not self.d.pids(), 6)
                self.d.start()
        t = threading.Thread(target=run)
        t.start()
        return t

    def was_hit(self):
        return self.hit.read_text().split()

    # sending
    def deliver(self, name, kind, rcpts, tries=60):
        """As clients do: again until it is taken."""
        for k in range(tries):
            ident = f"{name}.{k}"
            try:
                c = Client(self.d.port, timeout=20)
                try:
                    data = message(ident, body=BODIES[kind])
                    with self.lock:
                        self.sent[ident] = (digest(data), rcpts)
                    code, text = c.mail("from@here.test", rcpts, data)
                finally:
                    c.close()
                with self.lock:
                    self.answers.append((code, text, kind))
                if code == 250:
                    with self.lock:
                        self.acked[re.search(r"queued as (\w+)", text).group(1)] = ident
                    return
                assert code // 100 == 4, (code, text)
            except (OSError, ValueError):
                pass
            until(lambda: False, 0.05)
        raise AssertionError(f"{name} is not taken: {self.answers[-3:]}")

    def _guarded(self, *args):
        try:
            self.deliver(*args)
        except Exception as e:
            self.errors.append(repr(e))

    def send_all(self, tag="w"):
        jobs = [(f"{tag}{i}", kind, [f"{tag}{i}.{k}@there.test" for k in range(n)])
                for i, (kind, n) in enumerate([("small", 1), ("file", 1), ("parts", 1), ("small", 3), ("file", 2), ("parts", 3), ("small", 1), ("file", 1)])]
        jobs += [(f"{tag}-later{i}", kind, [f"later.{tag}{i}@there.test"]) for i, kind in enumerate(("small", "file"))]
        jobs += [(f"{tag}-bounce{i}", kind, [f"nobody.{tag}{i}@there.test", f"somebody.{tag}{i}@there.test"]) for i, kind in enumerate(("small", "parts", "file"))]
        jobs += [(f"{tag}-box{i}", kind, [f"{tag}{i}@box.test"]) for i, kind in enumerate(("small", "file"))]
        jobs += [(f"{tag}-mx{i}", kind, [f"{tag}{i}@mx.test"]) for i, kind in enumerate(("small", "file"))]
        jobs += [(f"{tag}-away{i}", kind, [f"{tag}{i}@away.test"]) for i, kind in enumerate(("small", "parts", "file"))]
        jobs += [(f"{tag}-stuck{i}", kind, [f"{tag}{i}@stuck.test"]) for i, kind in enumerate(("small", "parts", "file"))]
        for wave in (jobs[::2], jobs[1::2]):
            threads = [threading.Thread(target=self._guarded, args=j) for j in wave]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        assert not self.errors, self.errors
        self.pin()

    def pin(self):
        """What the closed transport keeps is moved by hand."""
        self.d.relayctl("queue", "move", "--transport", "out", "--to", "stuck.test")

    # judging
    def copies(self):
        """{(id of queue, recipient): copies}, of what is whole"""
        found = {}
        box = [f.read_bytes() for f in (self.d.dir / "mail" / "box" / "new").glob("*")] if (self.d.dir / "mail" / "box").exists() else []
        for data, rcpts in [(m.data, m.rcpts) for m in list(self.out.messages) + list(self.mx.messages)] + [(b, None) for b in box]:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            trace, _, rest = data.partition(b"\r\nDate: ")
            ident = re.search(rb"(?m)^X-Test-Id: (\S+)\r$", rest[:1000])
            if b"multipart/report" in rest[:2000] or not ident:
                continue
            ident, qid = ident.group(1).decode(), re.search(rb"\bid ([0-9A-Z]{13})\b", trace).group(1).decode()
            assert digest(b"Date: " + rest) == self.sent[ident][0], f"{ident} came in another form"
            for a in rcpts or self.sent[ident][1]:
                found[qid, a] = found.get((qid, a), 0) + 1
        return found

    def reported(self):
        """(test's id, recipient) of each report; the message that it is about is inside."""
        return [(re.search(rb"(?m)^X-Test-Id: (\S+)\r$", m.data).group(1).decode(), a.decode())
                for m in list(self.out.messages) if m.mail_from == "" and m.rcpts == ["from@here.test"]
                for a in re.findall(rb"(?mi)^Final-Recipient: rfc822; *(\S+)", m.data)]

    def missing(self):
        copies, reported = self.copies(), self.reported()
        return [(q, a) for q, i in self.acked.items() for a in self.sent[i][1]
                if ((i, a) not in reported if a.startswith("nobody") else not copies.get((q, a)))]

    def finish(self, look):
        assert until(lambda: self.pin() or not self.missing() and not look.messages(self.d.spool), 30, 0.1), \
            f"missing: {self.missing()}\n" + "\n".join(look("list", self.d.spool)[:20])

    def in_flight(self):
        """Upper bound of what the deaths can have doubled, as the log tells it."""
        recovered = sum(int(n) for n in re.findall(r"recovery: messages=(\d+)", self.d.log))
        lost = len(re.findall(r"the process that delivered it has ended", self.d.log))
        return recovered + lost


def settled(w, look):
    look.verify(w.d)
    deaths = re.findall(r"was ended by signal (\d+)", w.d.log[w.seen:])
    assert all(s == "9" for s in deaths), deaths
    assert not re.search(r"ended with status [1-9]", w.d.log)
    doubles = {k: n - 1 for k, n in w.copies().items() if n > 1}
    reported = w.reported()
    twice = [x for x in set(reported) if reported.count(x) > 1]
    return doubles, twice, len(deaths)


def test_the_points_are_found():
    found = points()
    assert len(found) >= 25 and len({p.split(".")[0] for p in found}) >= 4, found
    assert not [p for p, _ in ERRORS if p not in found] and not [p for p in NTH if p not in found]


@pytest.mark.parametrize("point", [p for p in points() if not p.startswith(ELSEWHERE)])
def test_a_process_dies_there(daemon, sink, names, look, point):
    w = Work(daemon, sink, names)
    spec = f"{point}:{NTH.get(point, USUAL)}=kill"
    if point in AT_START:
        w.slow = 20
        w.d.start()
        w.send_all()
        assert until(lambda: len(look.leased(w.d.spool)) >= 4, 10, 0.05)
        w.d.kill()
        w.slow, w.seen = 0, len(w.d.log)
        w.arm(spec)
        w.d.start()
    else:
        w.arm(spec)
        w.d.start()
        again = w.started_anew() if point.startswith("monitor.") else None
        w.send_all()
        if again:
            again.join(20)
            assert w.d.proc.poll() is None
    assert until(w.was_hit, 10, 0.05), f"{point} is never passed by this mail"
    w.send_all("again")
    w.finish(look)
    doubles, twice, deaths = settled(w, look)
    assert w.was_hit() == [point] and deaths == (0 if point.startswith("monitor.") else 1)
    if point.startswith("listener"):
        assert not doubles and not twice
    assert all(n == 1 for n in doubles.values()), doubles
    assert len(doubles) <= 5 * w.in_flight(), (doubles, w.in_flight())


@pytest.mark.parametrize("point,error", ERRORS)
def test_a_call_fails_there(daemon, sink, names, look, point, error):
    w = Work(daemon, sink, names)
    w.arm(f"{point}:2={error}")
    w.d.start()
    w.send_all()
    assert until(w.was_hit, 10, 0.05), f"{point} is never passed by this mail"
    w.send_all("again")
    w.finish(look)
    doubles, twice, deaths = settled(w, look)
    assert deaths == 0 and not doubles and not twice, (deaths, doubles, twice)
    # what could not be kept was refused for now, by the code that says why
    refused = [a for a in w.answers if a[0] != 250]
    if point.startswith(("listener", "store.body", "queue.mail", "queue.before")):
        want = 452 if error == "ENOSPC" else 451
        assert [a[0] for a in refused] == [want], w.answers
        assert refused[0][1].startswith("4.3.1 " if want == 452 else "4.3.0 "), refused
        assert refused[0][2] == "file" or point not in ("store.body.fsync", "listener.data")
    assert all(a[0] in (451, 452) for a in refused), refused
    assert w.d.stop() == 0
    assert spool_files(w.d.spool) == []
