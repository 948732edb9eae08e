"""Many clients, and what became of their mail: the two ends of the promise."""
import collections
import hashlib
import random
import re
import threading

from harness.client import Client, message
from harness.daemon import until
from harness.sink import Sink

# octets of a body: in the record, in parts, in a file
SIZES = ((0.40, 200, 2000), (0.25, 2000, 8000), (0.20, 8200, 120000), (0.15, 135000, 400 * 1024))
_LINES = b"".join(b"%064x and it goes on until the line is as long as mail has them, now and then.\r\n" % (i * 0x9E3779B97F4A7C15) for i in range(4096))


def body(rng, sizes=SIZES):
    x = rng.random()
    for share, low, high in sizes:
        if x < share:
            break
        x -= share
    n = rng.randint(low, high)
    at = rng.randrange(0, len(_LINES) - n)
    return _LINES[at:at + n].replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n.\r\n..end\r\n"


def digest(data):
    return hashlib.md5(data, usedforsecurity=False).digest()


class Ledger:
    """What was sent and what has arrived.

    sent: {test's id: (digest, recipients)}, noted before the first octet leaves; acked: {queue's id: test's id}, noted
    when the 250 has been read; arrived: {(queue's id, recipient): copies}, noted before the sink answers."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent, self.acked, self.arrived = {}, {}, collections.Counter()
        self.of, self.wrong = {}, []
        self.refused = collections.Counter()
        self.octets = 0

    # sink: stands for its list of messages
    def append(self, m):
        trace, _, rest = m.data.partition(b"\r\nDate: ")
        qid = re.search(rb"\bid ([0-9A-Z]{13})\b", trace)
        ident = re.search(rb"(?m)^X-Test-Id: (\S+)\r$", rest[:2000])
        qid, ident = qid and qid.group(1).decode(), ident and ident.group(1).decode()
        with self.lock:
            want = self.sent.get(ident)
            if not qid or want is None or want[0] != digest(b"Date: " + rest):
                self.wrong.append((qid, ident, len(m.data)))
            elif not set(m.rcpts) <= set(want[1]):
                self.wrong.append((qid, ident, m.rcpts))
            elif self.of.setdefault(qid, ident) != ident:
                self.wrong.append((qid, ident, self.of[qid]))
            for a in m.rcpts:
                self.arrived[qid, a] += 1
            self.octets += len(m.data)

    def __iter__(self):
        return iter(())

    def __len__(self):
        return len(self.arrived)

    # judging
    def missing(self):
        """(queue's id, test's id, recipient) that was acknowledged and has not arrived"""
        with self.lock:
            return [(q, i, a) for q, i in self.acked.items() for a in self.sent[i][1] if not self.arrived[q, a]]

    def outstanding(self):
        return len(self.acked) - len(self.of)

    def duplicates(self):
        return {k: n - 1 for k, n in self.arrived.items() if n > 1}

    def problems(self):
        """Everything that must not be, as text."""
        lost = self.missing()
        out = [f"lost after its 250: {x}" for x in lost[:20]] + [f"arrived as another: {x}" for x in self.wrong[:20]]
        out += [f"acknowledged as {i}, arrived as {self.of[q]}: {q}" for q, i in self.acked.items() if self.of.get(q, i) != i]
        return out


class Load:
    """sessions clients that send until stop(); they come back whenever they lose their connection."""

    def __init__(self, port, ledger, sessions=30, seed=0, most=250, sizes=SIZES, prefix="k"):
        self.port, self.ledger, self.most, self.sizes, self.prefix = port, ledger, most, sizes, prefix
        self.ended = threading.Event()
        self.broken = 0
        self.threads = [threading.Thread(target=self._run, args=(n, random.Random(f"{seed} {n}")), daemon=True) for n in range(sessions)]
        for t in self.threads:
            t.start()

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(60)
        assert not any(t.is_alive() for t in self.threads), "a client hangs"

    def _run(self, n, rng):
        count = 0
        while not self.ended.is_set():
            client = None
            try:
                client = Client(self.port, timeout=30)
                for _ in range(rng.randint(1, 30)):
                    if self.ended.is_set():
                        break
                    self._throttle()
                    count += 1
                    self._one(client, f"{self.prefix}{n}-{count}", rng)
            except (OSError, ValueError):
                self.broken += 1
                self.ended.wait(rng.uniform(0.01, 0.05))        # a client that was cut off comes back
            finally:
                if client is not None:
                    client.close()

    def _throttle(self):
        """The sink is not to fall behind for ever."""
        until(lambda: self.ledger.outstanding() < self.most or self.ended.is_set(), 5)

    def _one(self, client, ident, rng):
        ledger = self.ledger
        rcpts = [f"{ident}.{i}@there.test" for i in range(1 if rng.random() < 0.8 else rng.randint(2, 5))]
        data = message(ident, body=body(rng, self.sizes))
        ledger.sent[ident] = (digest(data), rcpts)
        code, text = client.mail("from@here.test", rcpts, data)
        if code == 250:
            ledger.acked[re.search(r"queued as (\w+)", text).group(1)] = ident
        else:
            ledger.refused[code] += 1
            if code // 100 == 4:
                raise ConnectionError(text)


def counting_sink(ledger, script=None):
    s = Sink(script)
    s.messages = ledger
    return s


def trouble(rng):
    """A server as they are: slow now and then, with deferrals and lost connections."""
    def script(stage, session, arg):
        if stage != "body":
            return None
        x = rng.random()
        if x < 0.02:
            return "451 4.3.0 later"
        if x < 0.025:
            return DROP
        return (rng.uniform(0, 0.03), None)
    return script


from harness.sink import DROP  # noqa: E402
