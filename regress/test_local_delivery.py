"""Mail of this machine, all the way: aliases in front, a real Dovecot behind, read by IMAP; fetchmail in between."""
import os
import pwd
import re
import signal
import subprocess

import pytest

from harness.client import Client, message, send
from harness.daemon import BIN, until
from harness.dovecot import PASSWORD, Dovecot, usable
from test_dkim import MESSAGES, SIGNED, dkim, key  # noqa: F401 -- key is a fixture

pytestmark = pytest.mark.skipif(not usable(), reason="Dovecot is started as root, with its IMAP server")

# two users of this machine, neither root nor the daemon's own
ANNA, BERT = [u.pw_name for u in sorted(pwd.getpwall(), key=lambda u: u.pw_uid) if u.pw_uid != 0 and u.pw_name != "nobody"][:2]

TRANSPORTS = {
    "unix": "lmtp unix:{box}/lmtp",
    "tcp": "lmtp 127.0.0.1:{lmtp}",
    "mda": 'mda "/usr/lib/dovecot/dovecot-lda -c {box}/dovecot.conf -f %f -a %r"',
    "maildir": "maildir {box}/mail/%u",
}
ALIASES = """
# comes first
team:	:include:{dir}/team
both:	%s, %s@localhost
Mixed.Case: "%s"
ring:	ring2
ring2:	other, ring
other:	ring
pipe:	|/bin/cat
file:	/var/mail/file
quoted: "|/bin/cat -n"
half:	%s, |/bin/cat
nowhere: :include:{dir}/nowhere
""" % (ANNA, BERT, ANNA, ANNA)


@pytest.fixture
def dovecot():
    d = Dovecot([ANNA, BERT])
    yield d
    d.stop()


@pytest.fixture
def place(dovecot, daemon):
    """place(kind, aliases): a daemon whose local mail goes to Dovecot's mailboxes by that transport."""
    def make(kind, aliases=ALIASES, text=""):
        line = TRANSPORTS[kind].format(box=dovecot.dir, lmtp=dovecot.lmtp)
        d = daemon(f"aliases {{dir}}/aliases\nlocal-domains here.test localhost\ntransport local {{ {line} }}\nretry 1s\nbounce-to sender\n{text}", start=False)
        (d.dir / "aliases").write_text(aliases.replace("{dir}", str(d.dir)))
        (d.dir / "team").write_text(f"# who is in it\n{ANNA}, {BERT}\n\n{ANNA}@here.test\n")
        d.box = dovecot
        return d.start()
    return make


def ask(d, address):
    c = Client(d.port)
    c.cmd("MAIL FROM:<from@there.test>")
    answer = c.cmd(f"RCPT TO:<{address}>")
    c.quit()
    return answer


def idents(mails):
    return sorted(re.search(rb"(?m)^X-Test-Id: (\S+)", m).group(1).decode() for m in mails)


def body_of(mail):
    return mail.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_an_alias_leads_into_mailboxes(place, kind):
    d = place(kind)
    body = b".dot\r\n..\r\n\xff\xfe blank \r\nFrom here\r\n" * 3
    assert send(d.port, "from@there.test", [f"{ANNA}@here.test", "team@here.test", f"{BERT}@here.test"], message("list", body=body))[0] == 250
    assert send(d.port, "", ["both@localhost"], message("both", body=body * 20000))[0] == 250
    assert send(d.port, "from@there.test", [f"{ANNA.upper()}@here.test", "mixed.case@here.test"], message("name", body=body))[0] == 250
    assert until(lambda: len(d.box.mails(ANNA)) >= 3 and len(d.box.mails(BERT)) >= 2, 20, 0.2), d.log
    assert d.wait_empty(20)
    assert idents(d.box.mails(BERT)) == ["both", "list"], "nobody gets a message twice"
    assert idents(d.box.mails(ANNA)) == ["both", "list", "name"], "nobody gets a message twice"
    for m in d.box.mails(ANNA) + d.box.mails(BERT):
        assert body_of(m) == (body * 20000 if b"X-Test-Id: both" in m else body)
        assert m.startswith(b"Return-Path: <>" if b"X-Test-Id: both" in m else b"Return-Path: <from@there.test>")


@pytest.mark.parametrize("kind", ["mda", "maildir"])
def test_what_is_no_mailbox_is_refused_at_rcpt(place, kind):
    d = place(kind, text="" if kind == "mda" else "route to nobody@here.test via local\n")
    for name, status in (("ring", "5.4.6"), ("ring2", "5.4.6"), ("pipe", "5.1.1"), ("file", "5.1.1"), ("quoted", "5.1.1"), ("-f", "5.1.1")):
        code, text = ask(d, f"{name}@here.test")
        assert (code, text[:5]) == (550, status), (name, text)
    if kind == "mda":
        assert ask(d, "no-such-user@here.test")[1][:5] == "5.1.1"
    assert ask(d, "nowhere@here.test")[0] == 451, "a list that cannot be read is no unknown user"
    assert ask(d, "half@here.test")[0] == 250, "who can be reached is"
    assert send(d.port, "from@there.test", ["half@here.test"], message("half"))[0] == 250
    assert until(lambda: idents(d.box.mails(ANNA)) == ["half"], 15, 0.2), d.log


def test_the_default_takes_the_other_names(place):
    d = place("mda", aliases=f"default: {BERT}\nknown: \\{ANNA}\n")
    assert "nowhere to go" not in d.log, "the postmaster is Bert"
    for name in ("known", "anybody", ANNA, BERT):
        assert send(d.port, "from@there.test", [f"{name}@here.test"], message(name))[0] == 250
    assert until(lambda: len(d.box.mails(BERT)) >= 3 and d.box.mails(ANNA), 15, 0.2), d.log
    assert idents(d.box.mails(ANNA)) == ["known"], "a name without an alias is the default's, but for \\name"
    assert idents(d.box.mails(BERT)) == sorted(["anybody", ANNA, BERT])


def test_who_is_unknown_to_lmtp_bounces_alone(place):
    d = place("unix", aliases=f"mixed: {ANNA}, no-such-mailbox\n")
    assert send(d.port, f"{BERT}@here.test", ["mixed@here.test"], message("m"))[0] == 250
    assert until(lambda: d.box.mails(BERT), 20, 0.2), d.log
    assert idents(d.box.mails(ANNA)) == ["m"]
    report, = d.box.mails(BERT)
    assert b"no-such-mailbox@here.test" in report and b"Status: 5.1.1" in report and f"Final-Recipient: rfc822; {ANNA}".encode() not in report
    assert d.wait_empty(10)


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_signed_mail_verifies_in_the_mailbox(place, key, kind):  # noqa: F811
    private, dns = key
    d = place(kind)
    names = sorted(n for n in MESSAGES if n != "bare minimum")
    c = Client(d.port)
    for i, n in enumerate(names):
        head, body = MESSAGES[n]
        text = head.replace(b"%s", b"s%d" % i) + b"X-Test-Id: s%d\r\n" % i + b"\r\n" + body
        for how in (b"simple", b"relaxed"):
            text = dkim.sign(text, b"s", b"signed.test", private, canonicalize=(how, how), include_headers=SIGNED) + text
        assert c.mail("s@signed.test", [f"{ANNA}@here.test"], text)[0] == 250
    c.quit()
    assert until(lambda: len(d.box.mails(ANNA)) >= len(names), 30, 0.5), d.log
    for m in d.box.mails(ANNA):
        n = names[int(re.search(rb"X-Test-Id: s(\d+)", m).group(1))]
        for i in (0, 1):
            assert dkim.DKIM(m).verify(idx=i, dnsfunc=dns), (n, i)


# ---- fetchmail

FETCHMAILRC = """
set no syslog
set no bouncemail
set no spambounce
set idfile "{dir}/ids"
poll 127.0.0.1 service {imap} protocol IMAP auth password
  user "{anna}" password "{password}" is "{to}" here
  smtphost "127.0.0.1/{port}" smtpaddress "here.test"
  sslproto "" fetchall nokeep norewrite
"""


def fetch(d, to, text=FETCHMAILRC):
    """One run of fetchmail from Anna's mailbox to a local name: (exit status, what it said)."""
    home = d.dir / "fetchmail"
    home.mkdir(exist_ok=True)
    rc = home / "rc"
    rc.write_text(text.format(dir=home, imap=d.box.port, anna=ANNA, password=PASSWORD, to=to, port=d.port))
    rc.chmod(0o600)
    r = subprocess.run(["fetchmail", "-f", str(rc), "--pidfile", str(home / "pid"), "-v"], capture_output=True, text=True, timeout=90,
                       env={**os.environ, "FETCHMAILHOME": str(home), "HOME": str(home)})
    return r.returncode, r.stdout + r.stderr


@pytest.fixture
def fetched(place):
    """fetched(kind, aliases): Anna's mailbox has three messages that fetchmail may fetch."""
    if not os.access("/usr/bin/fetchmail", os.X_OK):
        pytest.skip("fetchmail is not installed")

    def make(kind, aliases=""):
        d = place(kind, aliases=aliases)
        d.bodies = {"f0": b".dot\r\n..\r\n\xff 8-bit\r\n", "f1": b"", "f2": b"line of a large one \r\n" * 40000}
        for ident, body in d.bodies.items():
            assert send(d.port, "from@there.test", [f"{ANNA}@here.test"], message(ident, body=body))[0] == 250
        assert until(lambda: len(d.box.mails(ANNA)) == 3, 20, 0.2), d.log
        return d
    return make


@pytest.mark.parametrize("kind", ["unix", "mda", "maildir"])
def test_fetchmail_delivers_to_it(fetched, kind):
    d = fetched(kind, aliases=f"fetched: {BERT}\n")
    status, said = fetch(d, "fetched")
    assert status == 0, said + d.log
    assert until(lambda: len(d.box.mails(BERT)) == 3, 20, 0.2), said + d.log
    assert idents(d.box.mails(BERT)) == ["f0", "f1", "f2"] and not d.box.mails(ANNA)
    for m in d.box.mails(BERT):
        assert body_of(m) == d.bodies[idents([m])[0]]
        assert m.startswith(b"Return-Path: <from@there.test>")
    assert fetch(d, "fetched")[0] == 1, "no mail is left"
    assert len(d.box.mails(BERT)) == 3


def test_fetchmail_keeps_what_is_refused_for_now(fetched):
    d = fetched("unix", aliases="fetched: :include:{dir}/list\n")
    status, said = fetch(d, "fetched")
    assert "451" in said, said
    assert len(d.box.mails(ANNA)) == 3 and not d.box.mails(BERT)
    (d.dir / "list").write_text(f"{BERT}\n")
    d.signal(signal.SIGHUP)
    assert until(lambda: ask(d, "fetched@here.test")[0] == 250, 15, 0.1)
    status, said = fetch(d, "fetched")
    assert status == 0, said
    assert until(lambda: idents(d.box.mails(BERT)) == ["f0", "f1", "f2"], 20, 0.2), d.log
    assert not d.box.mails(ANNA)


def test_fetchmail_may_use_the_shim(place):
    """As its `mda`, which takes the recipient's bare name; the sender is kept."""
    d = place("unix", aliases=f"fetched: {BERT}\n", text="qualify-domain here.test\n")
    body = b".dot\r\n..\r\n\xff 8-bit\r\n"
    assert send(d.port, "from@there.test", [f"{ANNA}@here.test"], message("shim", body=body))[0] == 250
    assert until(lambda: d.box.mails(ANNA), 20, 0.2), d.log
    text = re.sub(r"  smtphost.*\n", f'  mda "{BIN}/smarthost-sendmail -C {d.conf} -i -f %F -- %T"\n', FETCHMAILRC)
    status, said = fetch(d, "fetched", text)
    assert status == 0, said + d.log
    assert until(lambda: d.box.mails(BERT), 20, 0.2), said + d.log
    m, = d.box.mails(BERT)
    assert body_of(m) == body and m.startswith(b"Return-Path: <from@there.test>") and not d.box.mails(ANNA)
