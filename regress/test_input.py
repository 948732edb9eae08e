"""Bad input gets a clear answer and harms nothing else (RFC 5321)."""
import os
import socket
import threading

import pytest

from harness.client import Client, message, send
from harness.daemon import free_port, smarthost, until

RETRY = "retry 1s\nwarn-after off\n"


@pytest.fixture
def relay(daemon, sink):
    """relay(text, listen) starts a daemon and its sink; whatever a test did, the daemon must live and relay at its end."""
    made = []

    def make(text="", listen="allow 127.0.0.0/8", check=True):
        s = sink()
        d = daemon(text + f"\nlisten 127.0.0.1:{{port}} {{ {listen} }}\n" + smarthost(s.port))
        d.sink = s
        made.append((d, {r: d.role(r) for r in ("listener", "queue", "delivery")}, check))
        return d
    yield make
    for d, roles, check in made:
        if not check:
            continue
        assert {r: d.role(r) for r in roles} == roles, "a role died"
        assert send(d.port, "from@here.test", ["after@there.test"], message("after"))[0] == 250
        assert until(lambda: ("after", "after@there.test") in d.sink.ids(), 10), "mail flows no more"


def begin(d, *rcpts, timeout=15):
    c = Client(d.port, timeout=timeout)
    for line in ["MAIL FROM:<from@here.test>"] + [f"RCPT TO:<{r}>" for r in rcpts or ("to@there.test",)]:
        assert c.cmd(line)[0] == 250
    return c


def data(d, *rcpts):
    c = begin(d, *rcpts)
    assert c.cmd("DATA")[0] == 354
    return c


# lines

def test_a_command_line_that_is_too_long_gets_500_and_the_session_goes_on(relay):
    c = Client(relay().port)
    code, text = c.cmd("NOOP " + "x" * 100000)
    assert (code, text[:5]) == (500, "5.5.2")
    assert c.cmd("NOOP")[0] == 250
    assert c.cmd("MAIL FROM:<" + "a" * 300 + "@here.test>")[0] in (501, 553)
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250
    assert c.cmd(f"RCPT TO:<to@{'d' * 300}.test>")[0] in (501, 553)
    c.quit()


def test_a_line_without_end_does_not_fill_the_memory(relay):
    d = relay()
    c = Client(d.port)
    try:
        for _ in range(64):
            c.send(b"x" * 1048576)
    except OSError:
        pass
    pid, = d.role("listener")
    with open(f"/proc/{pid}/status") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    assert rss < 65536, f"{rss} KiB"
    c.close()


def test_a_text_line_of_a_megabyte_passes(relay):
    d = relay()
    body = b"l" * 1048576 + b"\r\n"
    assert send(d.port, "from@here.test", ["to@there.test"], message("m", body=body))[0] == 250
    assert until(lambda: d.sink.messages, 10)
    assert d.sink.messages[0].data.endswith(b"\r\n\r\n" + body)


# ends of messages

NOT_AN_END = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n", "CRLF.CR": b"\r\n.\r",
              "CRLF.CRCRLF": b"\r\n.\r\r\n", "CR LF apart": b"\r\n.\r \n", "LF.CR": b"\n.\r", "LFLF.CRLF": b"\n\n.\r\n"}
SMUGGLED = b"MAIL FROM:<evil@here.test>\r\nRCPT TO:<smuggled@there.test>\r\nDATA\r\nX-Test-Id: smuggled\r\n\r\nsmuggled\r\n.\r\n"


@pytest.mark.parametrize("end", NOT_AN_END)
def test_only_crlf_dot_crlf_ends_a_message(relay, end):
    d = relay()
    c = data(d)
    c.send(message("m", body=b"text") + NOT_AN_END[end] + SMUGGLED)
    code, text = c.reply()
    assert (code, text[:5]) == (521, "5.5.2")
    assert c.closed()
    assert send(d.port, "from@here.test", ["to@there.test"], message("next"))[0] == 250
    assert until(lambda: d.sink.messages, 8)
    assert d.sink.ids() == {("next", "to@there.test"): 1}


@pytest.mark.parametrize("end", NOT_AN_END)
def test_where_bare_ends_are_mended_they_still_end_nothing(relay, end):
    d = relay(listen="allow 127.0.0.0/8; bare-lf fix")
    c = data(d)
    c.send(message("m", body=b"text") + NOT_AN_END[end] + SMUGGLED)
    assert c.reply()[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 8)
    m, = d.sink.messages
    assert m.rcpts == ["to@there.test"] and b"RCPT TO:<smuggled@there.test>\r\n" in m.data
    bare = m.data.replace(b"\r\n", b"")
    assert b"\r" not in bare and b"\n" not in bare


@pytest.mark.parametrize("middle", [b"\0", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n"])
@pytest.mark.parametrize("mode", ["reject", "fix"])
def test_nul_is_refused_and_ends_nothing(relay, middle, mode):
    d = relay(listen=f"allow 127.0.0.0/8; bare-lf {mode}")
    c = data(d)
    c.send(message("m", body=b"text") + middle + b"RSET\r\nNOOP\r\n.\r\n")
    code, text = c.reply()
    assert (code, text[:5]) in ((554, "5.6.0"), (521, "5.5.2"))
    if code == 554:
        assert c.cmd("NOOP")[0] == 250
    c.close()
    assert not d.sink.messages


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\r", b"NOOP\n\r\n", b"NO\rOP\r\n"])
def test_a_command_that_ends_in_a_bare_lf_or_cr_is_refused(relay, line):
    c = Client(relay().port, timeout=8)
    c.send(line + b"NOOP\r\n")
    code, text = c.reply()
    assert (code, text[:5]) == (521, "5.5.2")
    assert c.closed()


def test_where_bare_ends_are_mended_commands_may_end_in_lf(relay):
    d = relay(listen="allow 127.0.0.0/8; bare-lf fix")
    c = Client(d.port)
    for line in (b"MAIL FROM:<from@here.test>\n", b"RCPT TO:<to@there.test>\n", b"DATA\n"):
        c.send(line)
        assert c.reply()[0] in (250, 354)
    c.send(message("m").replace(b"\r\n", b"\n") + b".hidden\n\r\n.\r\n")
    assert c.reply()[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 8)


def test_bare_lf_in_a_chunk_is_refused_too(relay):
    d = relay()
    c = Client(d.port)
    assert c.bdat("from@here.test", ["to@there.test"], b"Subject: x\r\n\r\nbare\nlf\r\n")[0] == 521
    c.close()
    c = Client(d.port)
    assert c.bdat("from@here.test", ["to@there.test"], message("m", body=b".\r\n..\r\n.\r\nend\r\n"))[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 8)
    assert d.sink.messages[0].data.endswith(b"\r\n\r\n.\r\n..\r\n.\r\nend\r\n") and len(d.sink.messages) == 1


# sizes and numbers

@pytest.mark.parametrize("size,codes", [("999999999999999999999999", (501, 552)), ("18446744073709551616", (501, 552)), ("52428801", (552,)), ("-1", (501,)),
                                        ("1e3", (501,)), ("", (501,))])
def test_an_absurd_size_is_refused_at_mail(relay, size, codes):
    c = Client(relay().port)
    assert c.cmd(f"MAIL FROM:<from@here.test> SIZE={size}")[0] in codes
    assert c.cmd("MAIL FROM:<from@here.test> SIZE=1000")[0] == 250
    c.quit()


@pytest.mark.parametrize("way", ["mail", "bdat"])
def test_a_message_that_is_too_large_is_refused_and_the_session_goes_on(relay, way):
    d = relay("max-message-size 100K\n")
    c = Client(d.port)
    code, text = getattr(c, way)("from@here.test", ["to@there.test"], message("m", body=b"x" * 70 + b"\r\n" * 200000))
    assert (code, text[:5]) == (552, "5.3.4")
    c.cmd("RSET")
    assert c.mail("from@here.test", ["to@there.test"], message("small"))[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 8)
    assert d.sink.ids() == {("small", "to@there.test"): 1}


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -5 LAST", "BDAT 5 FIRST"])
def test_a_chunk_without_a_proper_size_is_refused(relay, line):
    # how much follows is not known, so nothing may be taken for a command by mistake
    c = begin(relay())
    assert c.cmd(line)[0] in (501, 503, 521)
    c.close()


def test_a_chunk_of_absurd_size_is_refused(relay):
    c = begin(relay())
    c.send("BDAT 18446744073709551615 LAST\r\n" + "x" * 1000)
    try:
        assert c.reply()[0] in (501, 552)
    except ConnectionError:
        pass
    c.close()


def test_too_many_recipients_wait_for_the_next_transaction(relay):
    d = relay("max-recipients 5\n")
    c = begin(d, *[f"r{i}@there.test" for i in range(5)])
    code, text = c.cmd("RCPT TO:<r5@there.test>")
    assert (code, text[:5]) == (452, "4.5.3")
    assert c.cmd("DATA")[0] == 354
    c.send(message("m") + b".\r\n")
    assert c.reply()[0] == 250
    c.quit()
    assert until(lambda: d.sink.messages, 8)
    assert len(d.sink.messages[0].rcpts) == 5


def test_no_mail_is_taken_when_the_disk_runs_short(relay):
    d = relay("disk-reserve 1000000G\n", check=False)
    code, text = send(d.port, "from@here.test", ["to@there.test"], message("m"))
    assert (code, text[:5]) == (452, "4.3.1")
    code, text = send(d.port, "from@here.test", ["to@there.test"], message("m", body=b"x" * 70 + b"\r\n" * 200000))
    assert (code, text[:5]) == (452, "4.3.1")
    # a program on this machine keeps its message until there is room
    assert d.sendmail("a@there.test", input="Subject: x\n\n").returncode == 0
    assert len(list((d.spool / "drop").iterdir())) == 1


# loops

def test_too_many_hops_is_refused(relay):
    d = relay()
    trace = b"".join(b"Received: from a%d by b%d; Fri, 20 Nov 2026 04:05:06 +0000\r\n" % (i, i) for i in range(110))
    code, text = send(d.port, "from@here.test", ["to@there.test"], trace + message("m"))
    assert (code, text[:5]) == (554, "5.4.6")


def test_a_loop_between_two_relays_comes_to_an_end(daemon):
    ports = free_port(), free_port()
    a, b = (daemon(f"listen 127.0.0.1:{ports[i]} {{ allow 127.0.0.0/8 }}\npostmaster pm@there.test\n" + RETRY + smarthost(ports[1 - i])) for i in (0, 1))
    assert send(ports[0], "", ["to@there.test"], message("m"))[0] == 250
    assert until(lambda: a.events("rejected", reason="hops") or b.events("rejected", reason="hops"), 20)
    assert until(lambda: len(a.events("received")) == len(a.events("removed")) and len(b.events("received")) == len(b.events("removed")), 8)
    assert 30 <= len(a.events("received")) + len(b.events("received")) <= 110


# patience

def test_twenty_errors_end_the_session(relay):
    c = Client(relay().port)
    codes = []
    for _ in range(25):
        code, text = c.cmd("XYZZY")
        codes.append(code)
        if len(codes) == 20:
            break
    assert codes == [500] * 20 or codes[-1] == 421
    if codes[-1] != 421:
        code, text = c.reply()
    assert (code, text[:5]) == (421, "4.7.0")
    assert c.closed()


@pytest.mark.parametrize("said", [b"", b"NOOP\r\n", b"MAIL FR", b"MAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\nSubject: x\r\n"])
def test_a_client_that_falls_silent_gets_421(relay, said):
    c = Client(relay(listen="allow 127.0.0.0/8; timeout 1s").port, timeout=10)
    c.send(said)
    while True:
        code, text = c.reply()
        if code == 421:
            break
    assert text[:5] == "4.4.2"
    assert c.closed()


def test_clients_that_connect_and_say_nothing_do_not_keep_others_out(relay):
    d = relay()
    idle = [socket.create_connection(("127.0.0.1", d.port)) for _ in range(40)]
    assert send(d.port, "from@here.test", ["to@there.test"], message("m"))[0] == 250
    for s in idle:
        s.close()


@pytest.mark.parametrize("statement", ["max-connections 3", "max-connections-per-client 3"])
def test_more_connections_than_allowed_get_421(relay, statement):
    d = relay(listen=f"allow 127.0.0.0/8; {statement}")
    some = [Client(d.port) for _ in range(3)]
    more = Client(d.port, hello=False)
    assert more.greeting[0] == 421 and more.greeting[1][:5] == "4.7.0"
    assert more.closed()
    some.pop().quit()

    def again():
        c = Client(d.port, hello=False)
        some.append(c)
        return c.greeting[0] == 220
    assert until(again, 5)
    for c in some:
        c.close()

    def gone():
        c = Client(d.port, hello=False)
        c.close()
        return c.greeting[0] == 220
    assert until(gone, 5)


def test_more_messages_than_the_rate_get_450(relay):
    d = relay(listen="allow 127.0.0.0/8; rate 3/2s", check=False)
    codes = [send(d.port, "from@here.test", ["to@there.test"], message(f"m{i}")) for i in range(5)]
    assert [c for c, _ in codes] == [250, 250, 250, 450, 450] and codes[4][1][:5] == "4.7.1"
    assert until(lambda: send(d.port, "from@here.test", ["to@there.test"], message("late"))[0] == 250, 8, .2)
    assert until(lambda: len(d.sink.messages) == 4, 8)


# who may

def test_a_denied_address_gets_554_at_the_greeting(relay):
    d = relay(listen="allow 127.0.0.0/8; deny 127.0.0.2")
    c = Client(d.port, source="127.0.0.2", hello=False)
    assert c.greeting[0] == 554 and c.greeting[1][:5] == "5.7.1"
    c.close()


def test_strangers_may_not_relay(relay):
    d = relay(listen="allow 127.0.0.1/32")
    c = Client(d.port, source="127.0.0.3")
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250
    code, text = c.cmd("RCPT TO:<to@there.test>")
    assert (code, text[:5]) == (550, "5.7.1")
    assert c.cmd("DATA")[0] in (503, 554)
    c.quit()


def test_percent_hacks_and_source_routes_are_no_way_around(relay):
    d = relay(listen="allow 127.0.0.1/32", text="local-domains relay.test\n")
    c = Client(d.port, source="127.0.0.3")
    c.cmd("MAIL FROM:<from@here.test>")
    for rcpt in ("to%there.test@elsewhere.test", "@relay.test:to@there.test", "there.test!to@elsewhere.test", '"to@there.test"@elsewhere.test', "to@[127.0.0.1]",
                 "to@RELAY.test.there.test"):
        assert c.cmd(f"RCPT TO:<{rcpt}>")[0] in (550, 501, 553), rcpt
    c.quit()


def test_a_client_block_decides_for_its_address(relay):
    d = relay("client 127.0.0.9 { recipients office@there.test; max-message-size 2K; bare-lf fix }\nclient 127.0.0.8 { rate 2/1h }\n", listen="allow 127.0.0.1/32")
    c = Client(d.port, source="127.0.0.9")
    assert c.caps["SIZE"] == "2048"
    assert c.cmd("MAIL FROM:<from@here.test>")[0] == 250
    assert c.cmd("RCPT TO:<to@there.test>") == (550, "5.7.1 You may not send to this recipient")
    assert c.cmd("RCPT TO:<office@there.test>")[0] == 250 and c.cmd("DATA")[0] == 354
    c.send(message("m").replace(b"\r\n", b"\n") + b"\r\n.\r\n")
    assert c.reply()[0] == 250
    assert c.mail("from@here.test", ["office@there.test"], message("big", body=b"x\r\n" * 2000))[0] == 552
    c.quit()
    c = Client(d.port, source="127.0.0.8")
    assert [c.mail("from@here.test", ["to@there.test"], message(f"r{i}"))[0] for i in range(3)] == [250, 250, 450]
    c.quit()
    assert until(lambda: len(d.sink.messages) == 3, 8)


# commands

def test_the_small_commands(relay):
    c = Client(relay().port, hello=False)
    assert c.greeting[0] == 220 and c.greeting[1].startswith("relay.test ")
    assert c.cmd("NOOP")[0] == 250 and c.cmd("NOOP with words")[0] == 250 and c.cmd("RSET")[0] == 250
    assert c.cmd("HELP")[0] in (211, 214) and c.cmd("HELP MAIL")[0] in (211, 214)
    assert c.cmd("VRFY postmaster")[0] == 252
    assert c.cmd("EXPN list")[0] == 502
    assert c.cmd("MAIL FROM:<a@here.test>")[0] == 503, "EHLO first"
    assert c.cmd("HELO client.test")[0] == 250
    assert c.cmd("RCPT TO:<b@there.test>")[0] == 503 and c.cmd("DATA")[0] in (503, 554)
    assert c.cmd("MAIL FROM:<a@here.test>")[0] == 250 and c.cmd("MAIL FROM:<b@here.test>")[0] == 503
    assert c.cmd("RSET")[0] == 250 and c.cmd("RCPT TO:<b@there.test>")[0] == 503
    assert c.cmd("AUTH PLAIN AGEAYg==")[0] in (502, 503) and c.cmd("STARTTLS")[0] in (502, 503)
    assert c.cmd("TURN")[0] in (500, 502) and c.cmd("")[0] == 500
    code, text = c.cmd("QUIT")
    assert code == 221 and c.closed()


@pytest.mark.parametrize("arg,code", [
    ("FROM:<>", 250), ("FROM: <a@here.test>", 250), ("from:<a@here.test>", 250), ("FROM:a@here.test", (250, 501, 553)), ("FROM:<a@here.test", (501, 553)),
    ("FROM:<a b@here.test>", (501, 553)), ('FROM:<"a b"@here.test>', 250), ("FROM:<@relay.test,@other.test:a@here.test>", 250),
    ("FROM:<a@here.test> NONSENSE=1", 555), ("FROM:<a@here.test> BODY=7BIT", 250), ("FROM:<a@here.test> BODY=9BIT", (501, 555)),
    ("FROM:<a@[127.0.0.1]>", 250), ("FROM:<a@here..test>", (501, 553)), ("FROM:<a\\@b@here.test>", (250, 501, 553)), ("TO:<a@here.test>", 501), ("", 501)])
def test_forms_of_addresses(relay, arg, code):
    c = Client(relay().port)
    got = c.cmd("MAIL " + arg)[0]
    assert got == code or (isinstance(code, tuple) and got in code)
    c.quit()


def test_pipelined_commands_are_answered_in_order(relay):
    d = relay()
    c = Client(d.port)
    c.send("RSET\r\nNOOP\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<bad\r\nRCPT TO:<b@there.test>\r\nXYZZY\r\nDATA\r\n")
    assert [c.reply()[0] for _ in range(7)] == [250, 250, 250, 501, 250, 500, 354]
    c.send(message("m") + b".\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n")
    assert [c.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
    c.send(message("m2") + b".\r\nQUIT\r\n")
    assert [c.reply()[0] for _ in range(2)] == [250, 221]
    assert c.closed()
    assert until(lambda: len(d.sink.messages) == 2, 8)


def test_a_whole_session_in_one_packet_works(relay):
    d = relay()
    c = Client(d.port, hello=False)
    c.send(b"EHLO me.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n" + message("m") + b".\r\nQUIT\r\n")
    assert [c.reply()[0] for _ in range(6)] == [250, 250, 250, 354, 250, 221]
    assert until(lambda: d.sink.messages, 8)


def test_pipelined_text_behind_a_refused_data_is_not_taken_for_mail(relay):
    d = relay()
    c = Client(d.port)
    c.send("MAIL FROM:<a@here.test>\r\nRCPT TO:<bad\r\nDATA\r\nSubject: x\r\n\r\nQUIT\r\n")
    codes = [c.reply()[0] for _ in range(6)]
    assert codes[:3] == [250, 501, codes[2]] and codes[2] in (503, 554) and codes[5] == 221


# ends of connections

def test_half_closed_clients_get_their_answers(relay):
    d = relay()
    c = Client(d.port, hello=False)
    c.send(b"EHLO me.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n" + message("m") + b".\r\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert [c.reply()[0] for _ in range(5)] == [250, 250, 250, 354, 250]
    assert c.closed()
    assert until(lambda: d.sink.messages, 8)


def test_half_a_message_is_no_message(relay):
    d = relay()
    c = data(d)
    c.send(message("half", body=b"half a mess"))
    c.sock.shutdown(socket.SHUT_WR)
    assert c.closed()
    c = begin(d)
    c.send(b"BDAT 1000 LAST\r\nhalf a mess")
    c.close()
    assert d.wait_event("disconnect")
    assert not d.sink.messages and not d.events("received")


def test_resets_at_any_moment_harm_nobody(relay):
    d = relay()
    whole = b"EHLO me.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n" + message("m", body=b"x" * 200 + b"\r\n") + b".\r\n"
    for n in range(0, len(whole), 17):
        s = socket.create_connection(("127.0.0.1", d.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.sendall(whole[:n])
        s.close()


def test_octet_by_octet_is_slow_and_works(relay):
    d = relay()
    c = Client(d.port, hello=False)
    for b in b"EHLO me.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n" + message("m", body=b"..\r\n.x\r\n") + b".\r\n":
        c.send(bytes([b]))
    assert [c.reply()[0] for _ in range(5)] == [250, 250, 250, 354, 250]
    assert until(lambda: d.sink.messages, 8)
    assert d.sink.messages[0].data.endswith(b"\r\n\r\n.\r\nx\r\n")
    c.quit()


def test_noise_is_answered_or_dropped(relay):
    d = relay()

    def noise(seed):
        import random
        rnd = random.Random(seed)
        try:
            s = socket.create_connection(("127.0.0.1", d.port), 5)
            s.settimeout(5)
            for _ in range(20):
                s.sendall(rnd.randbytes(rnd.randint(1, 5000)) + rnd.choice((b"", b"\r\n", b"\n", b"\0", b"\r\n.\r\n")))
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError:
            pass
        finally:
            s.close()
    threads = [threading.Thread(target=noise, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not d.events("received")


def test_a_tls_hello_on_a_plain_port_is_refused_in_words(relay):
    d = relay()
    s = socket.create_connection(("127.0.0.1", d.port), 10)
    s.sendall(bytes.fromhex("16030100c8010000c40303") + os.urandom(190))
    got = b""
    s.settimeout(10)
    try:
        while True:
            x = s.recv(4096)
            if not x:
                break
            got += x
    except OSError:
        pass
    s.close()
    assert got.count(b"\r\n") >= 2 and got.split(b"\r\n")[1][:1] in b"45"


def test_http_on_the_port_is_cut_off(relay):
    d = relay()
    for verb in (b"GET", b"POST"):
        s = socket.create_connection(("127.0.0.1", d.port), 10)
        s.sendall(verb + b" / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\nx\r\n.\r\n")
        s.settimeout(10)
        got = b""
        try:
            while True:
                x = s.recv(4096)
                if not x:
                    break
                got += x
        except OSError:
            pass
        s.close()
        assert b"\r\n250" not in got
    assert not d.events("received")
