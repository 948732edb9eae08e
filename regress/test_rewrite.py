"""rewrite: senders that an account does not own become its own; bare addresses get a domain."""
import os
import pwd
import re
import signal
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, check, smarthost, until, work_user
from test_maildir import mails

OWN = "shop@own.test"


@pytest.fixture
def relay(daemon, sink):
    """relay(account, text): a daemon whose default account has those statements; .sink is the next hop."""
    def make(account, text="", script=None, **kw):
        s = sink(script, **kw)
        d = daemon(f"account a {{ default\nsenders @own.test\n{account} }}\n{smarthost(s.port)}retry 1s\nbounce-to sender\n{text}")
        d.sink = s
        return d
    return make


def sent(d, ident="m"):
    """The message with this id, as it arrived."""
    def find():
        return [m for m in d.sink.messages if f"X-Test-Id: {ident}\r\n".encode() in m.data]
    assert until(find, 10), d.log
    return find()[0]


def fields(m, name):
    head = m.data.split(b"\r\n\r\n")[0] + b"\r\n"
    return re.findall(rb"(?ims)^" + name.encode() + rb":[ \t]*(.*?)\r\n(?![ \t])", head)


def mail(ident, author, body=b"hello\r\n", extra=b""):
    return message(ident, body=body, extra=extra).replace(b"From: <from@here.test>", b"From: " + author)


def test_envelope_and_from_of_others(relay):
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN}")
    text = mail("m", b"Cron Daemon <root@host.test>", body=b".dot\r\n\xff \r\n")
    assert send(d.port, "root@host.test", ["to@there.test"], text)[0] == 250
    m = sent(d)
    assert m.mail_from == OWN
    assert fields(m, "From") == [b"Cron Daemon <shop@own.test>"] and fields(m, "Reply-To") == [b"Cron Daemon <root@host.test>"]
    rest = m.data.split(b"\r\nDate: ", 1)
    assert rest[0].startswith(b"Received: ")
    want = text.replace(b"From: Cron Daemon <root@host.test>\r\n", b"From: Cron Daemon <shop@own.test>\r\nReply-To: Cron Daemon <root@host.test>\r\n")
    assert b"Date: " + rest[1] == want, "nothing else is changed"


def test_what_it_owns_stays_unless_always(relay):
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN}")
    text = mail("m", b"Me <other@OWN.test>")
    assert send(d.port, "other@own.test", ["to@there.test"], text)[0] == 250
    m = sent(d)
    assert m.mail_from == "other@own.test" and m.data.endswith(text)
    # one of the two alone
    assert send(d.port, "other@own.test", ["to@there.test"], mail("m2", b"x@else.test"))[0] == 250
    m = sent(d, "m2")
    assert m.mail_from == "other@own.test" and fields(m, "From") == [b"<shop@own.test>"]
    d.configure(f"account a {{ default\nsenders @own.test\nrewrite envelope {OWN} always\nrewrite from {OWN} always }}\n{smarthost(d.sink.port)}retry 1s\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload")
    assert send(d.port, "other@own.test", ["to@there.test"], mail("m3", b"Me <other@OWN.test>"))[0] == 250
    m = sent(d, "m3")
    assert m.mail_from == OWN and fields(m, "From") == [b"Me <shop@own.test>"]


def test_one_kind_alone(relay):
    d = relay(f"rewrite envelope {OWN}")
    text = mail("m", b"x@else.test")
    assert send(d.port, "x@else.test", ["to@there.test"], text)[0] == 250
    assert sent(d).mail_from == OWN and sent(d).data.endswith(text)
    d = relay(f"rewrite from {OWN}")
    assert send(d.port, "x@else.test", ["to@there.test"], mail("m", b"x@else.test"))[0] == 250
    assert sent(d).mail_from == "x@else.test" and fields(sent(d), "From") == [b"<shop@own.test>"]


def test_the_null_sender_stays_null(relay):
    d = relay(f"rewrite envelope {OWN} always")
    assert send(d.port, "", ["to@there.test"], mail("m", b"x@else.test"))[0] == 250
    assert sent(d).mail_from == ""


def test_a_reply_to_of_the_author_stays(relay):
    d = relay(f"rewrite from {OWN}")
    assert send(d.port, "x@else.test", ["to@there.test"], mail("m", b"x@else.test", extra=b"Reply-To: team@else.test\r\n"))[0] == 250
    m = sent(d)
    assert fields(m, "Reply-To") == [b"team@else.test"] and fields(m, "X-Original-From") == [b"x@else.test"]


@pytest.mark.parametrize("caps", [("PIPELINING", "8BITMIME"), ("PIPELINING", "CHUNKING", "SIZE"), ()], ids=["data", "bdat", "plain"])
@pytest.mark.parametrize("size", [10, 300000])
def test_large_and_small_by_every_protocol(relay, caps, size):
    d = relay(f"rewrite from {OWN}", ehlo=caps)
    text = mail("m", b"Somebody <x@else.test>", body=b"".join(b"line %d\r\n" % i for i in range(size // 10)) + b".\r\n..\r\n")
    assert send(d.port, "x@else.test", ["to@there.test", "two@there.test"], text)[0] == 250
    m = sent(d)
    assert m.data.endswith(text.replace(b"From: Somebody <x@else.test>", b"From: Somebody <shop@own.test>\r\nReply-To: Somebody <x@else.test>"))
    assert d.wait_empty(10) and len(d.sink.messages) == 1
    size = [c for c in m.session.commands if c.startswith("MAIL") and "SIZE=" in c]
    assert not size or int(re.search(r"SIZE=(\d+)", size[0]).group(1)) == len(m.data)


def signed(domain, selector=b"s"):
    import dkim
    from test_dkim import HEAD
    key = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True, capture_output=True).stdout
    text = HEAD.replace(b"%s", b"x") + b"X-Test-Id: m\r\n\r\nsigned text\r\n"
    return dkim.sign(text, selector, domain, key, include_headers=[b"from", b"to", b"subject"]) + text


def test_signed_mail_is_left_alone_unless_told_otherwise(relay):
    pytest.importorskip("dkim")
    text = signed(b"signed.test")
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN} always")
    assert send(d.port, "s@signed.test", ["to@there.test"], text)[0] == 250
    m = sent(d)
    assert m.data.endswith(text) and m.mail_from == OWN, "the envelope is not signed"
    assert send(d.port, "s@signed.test", ["to@there.test"], signed(b"list.test").replace(b"X-Test-Id: m", b"X-Test-Id: list"))[0] == 250
    assert fields(sent(d, "list"), "From") == [b"Signer <shop@own.test>"], "another domain's signature does not protect the author"
    d = relay(f"rewrite from {OWN}\nrewrite-signed on")
    assert send(d.port, "s@signed.test", ["to@there.test"], text)[0] == 250
    assert fields(sent(d), "From") == [b"Signer <shop@own.test>"]


def test_another_sender_is_refused_only_where_nothing_is_rewritten(daemon, sink):
    s = sink()
    for statement, code in (("", 553), (f"rewrite envelope {OWN}", 250)):
        d = daemon(f"client 127.0.0.0/8 {{ account a }}\naccount a {{ senders @own.test\n{statement} }}\n{smarthost(s.port)}")
        c = Client(d.port)
        assert c.cmd("MAIL FROM:<x@else.test>")[0] == code
        c.quit()


def test_an_account_without_senders_owns_what_it_rewrites_to(daemon, sink):
    s = sink()
    d = daemon(f"account a {{ default\nrewrite envelope {OWN}\nrewrite from {OWN} }}\n{smarthost(s.port)}")
    d.sink = s
    assert send(d.port, OWN, ["to@there.test"], mail("m", b"You <SHOP@own.test>"))[0] == 250
    assert send(d.port, "x@else.test", ["to@there.test"], mail("m2", b"x@else.test"))[0] == 250
    assert fields(sent(d), "From") == [b"You <SHOP@own.test>"] and sent(d, "m2").mail_from == OWN


def test_a_bounce_goes_to_who_sent_it(relay):
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN}", script=lambda stage, s, arg: "550 5.1.1 no" if stage == "rcpt" and arg == "bad@there.test" else None)
    assert send(d.port, "x@else.test", ["bad@there.test"], mail("m", b"x@else.test"))[0] == 250
    assert until(lambda: d.sink.messages, 10)
    m = d.sink.messages[0]
    assert m.rcpts == ["x@else.test"] and m.mail_from == "" and b"shop@own.test" in fields(m, "From")[0]


def test_the_configuration_counts_for_mail_that_waits(relay):
    refuse = [1]
    d = relay("", script=lambda stage, s, arg: "451 later" if stage == "mail" and refuse else None)
    assert send(d.port, "x@else.test", ["to@there.test"], mail("m", b"x@else.test"))[0] == 250
    assert d.wait_event("delivery", status="deferred")
    d.configure(f"account a {{ default\nsenders @own.test\nrewrite envelope {OWN}\nrewrite from {OWN} }}\n{smarthost(d.sink.port)}retry 1s\n")
    d.signal(signal.SIGHUP)
    assert d.wait_event("reload")
    refuse.clear()
    assert sent(d).mail_from == OWN and fields(sent(d), "From") == [b"<shop@own.test>"]


def test_local_mail_is_rewritten_too(daemon):
    d = daemon(f"account a {{ default\nsenders @own.test\nrewrite envelope {OWN}\nrewrite from {OWN} }}\n"
               "transport box { maildir {dir}/box/%u }\nroute via box\n", start=False)
    (d.dir / "box").mkdir()
    (d.dir / "box").chmod(0o777)
    d.start()
    for size in (10, 300000):
        body = b"".join(b"line %d\r\n" % i for i in range(size // 10))
        assert send(d.port, "x@else.test", [f"{work_user()}@here.test"], mail(f"m{size}", b"x@else.test", body=body))[0] == 250
        box = d.dir / "box" / work_user()
        assert until(lambda: [f for f in mails(box) if b"X-Test-Id: m%d\n" % size in f.read_bytes()], 10)
        f, = [f for f in mails(box) if b"X-Test-Id: m%d\n" % size in f.read_bytes()]
        text = f.read_bytes()
        assert text.startswith(b"Return-Path: <shop@own.test>\n") and b"\nFrom: <shop@own.test>\nReply-To: x@else.test\n" in text
        assert text.endswith(b"\n\n" + body.replace(b"\r\n", b"\n")) and text.count(b"From:") == 1


def test_a_header_that_is_too_large_is_left_alone(relay):
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN}")
    text = mail("m", b"x@else.test", extra=b"X-Long: " + b"\r\n ".join([b"v" * 70] * 2000) + b"\r\n")
    assert send(d.port, "x@else.test", ["to@there.test"], text)[0] == 250
    m = sent(d)
    assert m.data.endswith(text) and m.mail_from == OWN and d.wait_event("rewrite")


# ---- bare addresses

CRON = b"From: root (Cron Daemon)\nTo: root, Bob <bob>\nSubject: Cron <root@box> job\nX-Test-Id: m\n\noutput\n"


def shim(d, *args, input=CRON):
    return subprocess.run([BIN / "smarthost-sendmail", "-C", d.conf, *args], input=input, capture_output=True, timeout=30)


def test_cron_mail_arrives_as_what_the_provider_accepts(relay):
    d = relay(f"rewrite envelope {OWN}\nrewrite from {OWN}", "qualify-domain box.test\n")
    assert shim(d, "-i", "admin@there.test").returncode == 0
    m = sent(d)
    assert m.mail_from == OWN
    assert fields(m, "From") == [b"<shop@own.test>"] and fields(m, "Reply-To") == [b"root@box.test (Cron Daemon)"]
    assert fields(m, "To") == [b"root@box.test, Bob <bob@box.test>"]


def test_bare_addresses_without_rewriting(relay):
    d = relay("", "qualify-domain box.test\n")
    assert shim(d, "-i", "admin@there.test").returncode == 0
    m = sent(d)
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert m.mail_from == f"{user}@box.test" and fields(m, "From") == [b"root@box.test (Cron Daemon)"] and fields(m, "Subject") == [b"Cron <root@box> job"]


def test_relayed_and_signed_mail_keeps_its_bare_addresses(relay):
    d = relay("", "qualify-domain box.test\n")
    text = mail("m", b"root")
    assert send(d.port, "x@else.test", ["to@there.test"], text)[0] == 250
    assert sent(d).data.endswith(text)
    assert shim(d, "-i", "admin@there.test", input=b"DKIM-Signature: v=1; d=x.test\nX-Test-Id: s\n" + CRON.replace(b"X-Test-Id: m\n", b"")).returncode == 0
    assert fields(sent(d, "s"), "From") == [b"root (Cron Daemon)"]


@pytest.mark.parametrize("statement,word", [
    ("rewrite sender a@b.test", "envelope"), ("rewrite from nobody", "not an address"), ("rewrite from a@b.test sometimes", "always"),
    ("rewrite from a@b.test\nrewrite from c@d.test", "twice"), ("rewrite from", "from"), ("rewrite-signed maybe", "maybe")])
def test_mistakes(statement, word):
    status, text, _ = check(f"account a {{\n{statement}\n}}\n")
    assert status == 78 and word in text, text


# ---- whatever it looks like

AUTHORS = [b"x@else.test", b"<x@else.test>", b"Name <x@else.test>", b'"a, b \\" <q@own.test>" <x@else.test>', b"=?utf-8?q?J=C3=BCrgen?= <x@else.test>",
           "Jürgen <x@else.test>".encode(), b"\xfcmlaut <x@else.test>", b"a@else.test, b@else.test", b"Group: a@else.test, B <b@else.test>;", b"Nobody:;",
           b"(shop@own.test) x@else.test", b"x@else.test (a \\) comment)", b'"q@own.test"@else.test', b'"a b,c"@else.test', b"root", b"", b"<>", b"@@,;<", b'"open',
           b"x(c)@(d)else.test", b"shop@own.test, x@else.test", b"Very\r\n folded\r\n\t<x@else.test>\r\n  (and so on)", b"\r\n x@else.test", b"x@else.test,\r\n ",
           b"N" * 970 + b" <x@e.test>", b" ".join([b"word" * 20] * 12) + b" <x@else.test>", b",\r\n ".join(b"p%d@else.test" % i for i in range(300))]
FRONTS = [b"", b"Subject: first\r\n", b"X-Not-From: y@z\r\n", b"Received: from a\r\n\tby b\r\n", b"DKIM-Signature: v=1; d=other.test; b=d=else.test\r\n"]
BACKS = [b"", b"From: second@else.test\r\n", b"Reply-To: team@else.test\r\n", b"Resent-From: r@else.test\r\n", b"X-Long: " + b"y" * 5000 + b"\r\n"]
BODIES = [b"", b"From: body@else.test\r\n", b"From me\r\n.\r\n..\r\n", b"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: part@else.test\r\n\r\n--x--\r\n",
          b"\xff\x80 \t\r\n\r\n", b"no line end at the end of a chunk", b"line of a long one\r\n" * 20000]


def test_nothing_but_the_author_ever_changes(relay):
    """Each author with each front, back and body at least once, by DATA and by BDAT: the octets around From are those that came."""
    d = relay(f"rewrite from {OWN}", ehlo=("PIPELINING", "8BITMIME", "CHUNKING"))
    c, wanted = Client(d.port), {}
    for i, author in enumerate(AUTHORS):
        for k in range(2):
            name = [b"From: ", b"from:", b"FROM :\t", b"From:  "][(i + k) % 4]
            front = FRONTS[(i + k) % len(FRONTS)] + b"X-Test-Id: w%d-%d\r\n" % (i, k)
            field, back, body = name + author + b"\r\n", BACKS[(i + 2 * k) % len(BACKS)], BODIES[(i + 3 * k) % len(BODIES)]
            if k and body.endswith(b"end of a chunk"):
                body += b"\r\n"
            text = front + field + back + b"\r\n" + body
            how = c.mail if k else c.bdat
            assert how("x@else.test", ["to@there.test"], text)[0] == 250, (author, k)
            wanted[f"w{i}-{k}"] = (front, author, back, b"\r\n" + body)
    c.quit()
    assert until(lambda: len(d.sink.messages) == len(wanted), 30), d.log
    for m in d.sink.messages:
        ident = re.search(rb"X-Test-Id: (\S+)", m.data).group(1).decode()
        front, author, back, rest = wanted[ident]
        at = m.data.index(front)
        assert re.fullmatch(rb"Received: [^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n", m.data[:at]), ident
        assert m.data.endswith(back + rest), ident
        new = m.data[at + len(front):len(m.data) - len(back + rest)]
        original = (b"X-Original-From:" if b"Reply-To" in back else b"Reply-To:")
        g = re.fullmatch(rb"From: (?:[^\r\n]+ )?<shop@own\.test>\r\n(?:" + original + rb"(.*)\r\n)?", new, re.S)
        assert g, (ident, author, new)
        assert (g.group(1) or b"").strip() == author.strip(), (ident, author, new)
        assert all(len(line) <= 998 for line in new.split(b"\r\n")), ident
        assert not re.search(rb"\r\n[ \t]*\r\n", new), (ident, "a line of blanks")


@pytest.mark.parametrize("text", [b"no header at all\r\n", b"\r\nFrom: body@else.test\r\n", b"X-A: b\r\n\r\nFrom: body@else.test\r\n", b"From x@else.test Fri Nov 20\r\nFrom: x@else.test\r\n\r\nx\r\n",
                                  b"", b"\r\n", b" From: x@else.test\r\n\r\nx\r\n", b"X: y\r\nnot a field\r\nFrom: x@else.test\r\n\r\nx\r\n", b"From\r\n\r\n", b"XFrom: x@else.test\r\n\r\n"])
def test_without_an_author_there_is_nothing_to_change(relay, text):
    d = relay(f"rewrite from {OWN} always")
    assert send(d.port, "x@else.test", ["to@there.test"], text)[0] == 250
    assert until(lambda: d.sink.messages, 10), d.log
    m = d.sink.messages[0].data
    assert m.endswith(text) and re.fullmatch(rb"Received: [^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n", m[:len(m) - len(text)])


@pytest.mark.parametrize("where", ["front", "back", "end"])
def test_a_damaged_file_is_never_sent(relay, where):
    """Not even where the damage is in the header that is replaced."""
    refuse = [1]
    d = relay(f"rewrite from {OWN}", script=lambda stage, s, arg: "451 later" if stage == "mail" and refuse else None)
    text = b"X-First: this comes before From\r\n" + mail("m", b"x@else.test", body=b"line of text\r\n" * 30000)
    assert send(d.port, "x@else.test", ["to@there.test"], text)[0] == 250
    assert d.wait_event("delivery", status="deferred")
    f, = [p for p in d.spool.rglob("*") if p.is_file() and p.stat().st_size == len(text)]
    with open(f, "r+b") as body:
        if where == "end":
            body.truncate(len(text) - 5)
        else:
            body.seek(10 if where == "front" else len(text) - 5)
            body.write(b"!")
    refuse.clear()
    assert d.wait_event("body"), d.log
    assert until(lambda: d.queue() == [], 10), "it is put aside"
    assert not d.sink.messages
