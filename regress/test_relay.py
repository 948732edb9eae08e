"""Mail of every shape goes through, each message once and octet for octet."""
import hashlib
import os
import queue
import random
import re
import threading

from harness.client import Client
from harness.daemon import until

MESSAGES = int(os.environ.get("RELAY_MESSAGES", 2000))
SESSIONS = 50


def shapes(rnd):
    """Kinds of lines that have been broken by somebody."""
    block = rnd.randbytes(65536)
    eight = bytes(b if b > 13 else 0xE9 for b in block)
    return [
        [b"x" * rnd.randint(0, 76) for _ in range(500)],
        [eight[i * 60:i * 60 + rnd.randint(0, 990)] for i in range(200)],
        [b"L" * n for n in (998, 997, 996, 76, 999, 3000)],
        [b".", b"..", b"...", b".x", b". ", b"", b"..." + b"y" * 990, b"QUIT", b"DATA", b"RSET", b". . ."],
        [b"text" + end for end in (b" ", b"\t", b"  \t ", b"", b" " * 80)],
        [b"", b"", b"", b"From here", b">From there", b"--=_b", b"=20=", b"BDAT 10 LAST"],
        [b"." * n for n in range(0, 998, 7)],
        [eight[i:i + 76] for i in range(0, 60000, 76)],
    ]


def header(rnd, ident, rcpt):
    fields = [b"Date: Fri, 20 Nov 2026 04:05:06 +0000", b"From: \"A, B\" <s@here.test>", b"To: " + rcpt,
              b"Message-ID: <" + ident + b"@here.test>", b"X-Test-Id: " + ident]
    for _ in range(rnd.choice((0, 1, 3, 20))):
        fields.append(b"X-H%d: " % rnd.randint(0, 9) + b"v" * rnd.randint(0, 70) +
                      rnd.choice((b"", b"\r\n\tfolded line", b"\r\n  two\r\n  lines ", b" trailing ")))
    if rnd.random() < .05:
        fields.append(b"X-Long: " + b"l" * 980)
    if rnd.random() < .02:
        fields += [b"X-Many-%d: m" % k for k in range(1500)]
    if rnd.random() < .3:
        fields += [b"subject:lower case, no blank after the colon", b"SUBJECT: twice"]
    if rnd.random() < .2:
        fields += [b"Received: from old%d by older%d; Thu, 1 Jan 1970 00:00:00 +0000" % (k, k) for k in range(rnd.randint(1, 20))]
    rnd.shuffle(fields)
    return b"\r\n".join(fields) + b"\r\n\r\n"


def make(i, rnd, kinds):
    """(id, message, recipients)"""
    ident = b"r%05d" % i
    domain = "chunk.test" if i % 2 else "plain.test"
    rcpts = [f"u{i}.{k}@{domain}" for k in range(1 if rnd.random() < .8 else rnd.randint(2, 5))]
    head = header(rnd, ident, rcpts[0].encode())
    x = rnd.random()
    if x < .01:
        return ident.decode(), head[:-2], rcpts         # header only, no empty line
    if x < .04:
        return ident.decode(), head, rcpts              # an empty body
    x = rnd.random()
    size = (rnd.uniform(200, 8192) if x < .7 else rnd.uniform(8192, 65536) if x < .9 else
            rnd.uniform(65536, 524288) if x < .98 else rnd.uniform(524288, 2 * 1024 * 1024))
    kind = kinds[i % len(kinds)]
    block = b"\r\n".join(rnd.choices(kind, k=64)) + b"\r\n"
    body = (block * (int(size) // len(block) + 1))[:int(size)].rpartition(b"\r\n")[0] + b"\r\n"
    if rnd.random() < .1:
        body += b"\r\n" * rnd.randint(1, 5)
    return ident.decode(), head + body, rcpts


def one_client(port, k, work, sent, refused):
    rnd = random.Random(k)
    c = None
    while True:
        try:
            ident, data, rcpts = work.get_nowait()
        except queue.Empty:
            break
        if c is None or rnd.random() < .1:
            if c:
                c.quit()
            c = Client(port, timeout=60)
        way = rnd.choice(("mail", "pipelined", "bdat"))
        if way == "bdat":
            # BDAT may leave out the last line end; DATA has to add it
            if rnd.random() < .3 and not data.endswith(b"\r\n\r\n"):
                data = data[:-2]
            answer = c.bdat("s@here.test", rcpts, data, rnd.choice((1000, 65536, 1 << 20)), " BODY=8BITMIME")
        else:
            answer = getattr(c, way)("s@here.test", rcpts, data, params=rnd.choice(("", " BODY=8BITMIME", f" SIZE={len(data)}")))
        if answer[0] == 250:
            sent[ident] = (way, hashlib.sha256(data).digest(), len(data), rcpts)
        else:
            refused.append((ident, way, answer))
    if c:
        c.quit()


def arrived(m, sent, cut=0):
    """What is wrong with a message at its end, and its id."""
    g = re.search(rb"(?m)^X-Test-Id: (\S+)\r?$", m.data)
    assert g, f"nobody sent this: {m.data[:200]!r}"
    ident = g.group(1).decode()
    way, digest, size, _ = sent[ident]
    data = m.data
    if hashlib.sha256(data[-size:]).digest() != digest and way == "bdat" and data.endswith(b"\r\n"):
        data = data[:-2]                # the line end that DATA had to add
    if hashlib.sha256(data[-size:]).digest() != digest:
        return ident, f"changed: {size} octets by {way}, {len(m.data)} came"
    trace = re.sub(rb"\r\n[ \t]+", b" ", data[:-size])
    if not re.fullmatch(rb"Received: [^\r\n]+ id \w+[^\r\n]*;[^\r\n]+\r\n", trace):
        return ident, f"not one Received field in front, but {trace!r}"
    return ident, None


def test_two_thousand_messages_of_all_shapes_arrive_once_and_unchanged(daemon, sink):
    rnd = random.Random(20261120)
    plain = sink()
    chunk = sink(ehlo=("PIPELINING", "SIZE 104857600", "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES"))
    d = daemon(f"""
transport plain {{ smarthost 127.0.0.1:{plain.port} }}
transport chunk {{ smarthost 127.0.0.1:{chunk.port} }}
route to chunk.test via chunk
route via plain
listen 127.0.0.1:{{port}} {{ allow 127.0.0.0/8; max-connections-per-client {SESSIONS + 10} }}
""", log="log stderr text info")
    kinds, work, sent, refused = shapes(rnd), queue.Queue(), {}, []
    for i in range(MESSAGES):
        work.put(make(i, rnd, kinds))
    threads = [threading.Thread(target=one_client, args=(d.port, k, work, sent, refused)) for k in range(SESSIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not refused and len(sent) == MESSAGES
    wanted = sum(len(rcpts) for _, _, _, rcpts in sent.values())
    assert until(lambda: sum(len(m.rcpts) for s in (plain, chunk) for m in list(s.messages)) >= wanted, 60, .1)
    seen, wrong = {}, []
    for m in plain.messages + chunk.messages:
        ident, problem = arrived(m, sent)
        if problem:
            wrong.append(f"{ident} {problem}")
        for rcpt in m.rcpts:
            seen[ident, rcpt] = seen.get((ident, rcpt), 0) + 1
    assert not wrong, wrong[:10]
    assert seen == {(ident, rcpt): 1 for ident, (_, _, _, rcpts) in sent.items() for rcpt in rcpts}
    assert len(plain.sessions) <= 20 and len(chunk.sessions) <= 20, "connections are reused"
    assert until(lambda: len(d.events("removed")) == MESSAGES, 15), "nothing stays in the queue"
    assert d.relayctl("queue", "verify").returncode == 0
    assert not [f for x in d.spool.iterdir() if len(x.name) == 2 for f in x.iterdir()], "nor in the spool"
