"""Which server gets a message, over how many connections, and which is next when one cannot be reached."""
import socket
import threading

import pytest

from harness.client import Client, message, send
from harness.daemon import DeadPort, smarthost, until

RETRY = "retry 1s\nwarn-after off\n"


def one(d, to="to@there.test", ident="m"):
    code, text = send(d.port, "from@here.test", [to] if isinstance(to, str) else to, message(ident))
    assert code == 250, text


def many(d, n, to="to@there.test"):
    c = Client(d.port)
    for i in range(n):
        assert c.mail("from@here.test", [to], message(f"m{i}"))[0] == 250
    c.quit()


def transport(name, *ports, also=""):
    return f"transport {name} {{ smarthost {' '.join(f'127.0.0.1:{p}' for p in ports)}; {also} }}\n"


def commands(s, verb):
    return [c for x in s.sessions for c in x.commands if c.upper().startswith(verb)]


# connections

def test_one_connection_carries_many_messages(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port, "connections 1"))
    many(d, 40)
    assert until(lambda: len(s.messages) == 40)
    assert len(s.sessions) == 1


def test_a_connection_carries_no_more_messages_than_allowed(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port, "connections 1", "messages-per-connection 10"))
    many(d, 40)
    assert until(lambda: len(s.messages) == 40)
    per = [sum(m.session is x for m in s.messages) for x in s.sessions]
    assert per == [10, 10, 10, 10]
    assert until(lambda: commands(s, "QUIT"), 5)


def test_an_idle_connection_is_closed_with_quit(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port, "idle-timeout 1s"))
    one(d)
    assert until(lambda: s.messages, 5) and s.open == 1
    assert until(lambda: s.open == 0, 5)
    assert s.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize("statement,most", [("connections 3", 3), ("connections-per-host 2", 2), ("connections 1", 1)])
def test_the_limit_of_connections_is_never_exceeded(daemon, sink, statement, most):
    s = sink(lambda stage, session, arg: (.05, None) if stage == "body" else None)
    d = daemon(smarthost(s.port, statement))
    many(d, 30)
    assert until(lambda: len(s.messages) == 30)
    assert s.most == most


def test_many_messages_use_several_connections(daemon, sink):
    s = sink(lambda stage, session, arg: (.2, None) if stage == "body" else None)
    d = daemon(smarthost(s.port, "connections 5"))
    many(d, 25)
    assert until(lambda: len(s.messages) == 25)
    assert s.most == 5


def test_by_ipv6_and_by_name(daemon, sink):
    six, name = sink(host="::1"), sink()
    d = daemon("retry 1h\n" + f"transport a {{ smarthost [::1]:{six.port} }}\ntransport b {{ smarthost localhost:{name.port} }}\n"
               "route to six.test via a\nroute via b\n")
    one(d, "x@six.test")
    one(d, "x@name.test")
    assert until(lambda: six.messages and name.messages, 8)


def test_source_address_and_helo_are_as_configured(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port, "source-address 127.0.0.5", "helo mail.example.net"))
    one(d)
    assert until(lambda: s.messages, 8)
    assert s.sessions[0].peer[0] == "127.0.0.5" and s.sessions[0].helo == "mail.example.net"


@pytest.fixture
def nameserver():
    """nameserver(rcode) answers every question with that, and nothing else; its port."""
    socks = []

    def serve(s, rcode):
        try:
            while True:
                data, peer = s.recvfrom(4096)
                s.sendto(data[:2] + bytes([0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 0, 0, 0]) + data[12:data.index(b"\0", 12) + 5], peer)
        except OSError:
            pass

    def make(rcode):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        socks.append(s)
        threading.Thread(target=serve, args=(s, rcode), daemon=True).start()
        return s.getsockname()[1]
    yield make
    for s in socks:
        s.close()


@pytest.mark.parametrize("rcode", [2, 3, 5], ids=["SERVFAIL", "NXDOMAIN", "REFUSED"])
def test_a_smarthosts_name_that_cannot_be_resolved_bounces_nothing(daemon, nameserver, rcode):
    d = daemon(f"retry 1h\nresolver 127.0.0.1:{nameserver(rcode)}\n" + smarthost(0, hosts="mail.nowhere.test:25"))
    one(d)
    line = d.wait_event("delivery", seconds=20)[0]
    assert line["status"] == "deferred" and line["dsn"].startswith("4.") and "mail.nowhere.test" in line["reply"]


# recipients

def test_a_hundred_recipients_are_one_transaction(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port))
    rcpts = [f"r{i}@d{i % 7}.test" for i in range(100)]
    one(d, rcpts)
    assert until(lambda: s.messages, 8)
    assert s.messages[0].rcpts == rcpts and len(s.messages) == 1
    assert len(commands(s, "MAIL")) == len(commands(s, "DATA")) == 1


def test_recipients_per_message_is_kept(daemon, sink):
    s = sink()
    d = daemon(smarthost(s.port, "recipients-per-message 30"))
    rcpts = [f"r{i}@there.test" for i in range(100)]
    one(d, rcpts)
    assert until(lambda: sum(len(m.rcpts) for m in s.messages) == 100, 8)
    assert sorted(len(m.rcpts) for m in s.messages) == [10, 30, 30, 30]
    assert sorted(r for m in s.messages for r in m.rcpts) == sorted(rcpts)


def test_recipients_of_two_transports_part(daemon, sink):
    a, b = sink(), sink()
    d = daemon(transport("a", a.port) + transport("b", b.port) + "route to a.test via a\nroute via b\n")
    one(d, ["1@a.test", "2@b.test", "3@a.test", "4@b.test"])
    assert until(lambda: a.messages and b.messages, 8)
    assert a.messages[0].rcpts == ["1@a.test", "3@a.test"] and b.messages[0].rcpts == ["2@b.test", "4@b.test"]


def test_a_server_that_takes_few_recipients_at_a_time_gets_the_rest_later(daemon, sink):
    count = {}

    def script(stage, session, arg):
        if stage == "mail":
            count[session] = 0
        if stage == "rcpt":
            count[session] += 1
            return "452 4.5.3 too many recipients" if count[session] > 5 else None
        return None
    s = sink(script)
    d = daemon(RETRY + smarthost(s.port))
    rcpts = [f"r{i}@there.test" for i in range(12)]
    one(d, rcpts)
    assert until(lambda: sum(len(m.rcpts) for m in s.messages) == 12, 10)
    assert sorted(r for m in s.messages for r in m.rcpts) == sorted(rcpts)
    assert not d.events("delivery", status="bounced")


# pipelining

@pytest.mark.parametrize("ehlo,ahead", [(("PIPELINING", "SIZE 1000000"), ["mail", "rcpt"]), (("SIZE 1000000",), [])])
def test_commands_are_pipelined_only_where_offered(daemon, sink, ehlo, ahead):
    s = sink(lambda stage, session, arg: (.1, None) if stage in ("mail", "rcpt", "data") else None, ehlo=ehlo)
    d = daemon(smarthost(s.port))
    one(d)
    assert until(lambda: s.messages, 8)
    assert s.sessions[0].ahead == ahead


def test_8bit_mail_goes_as_it_is_to_a_server_without_8bitmime(daemon, sink):
    s = sink(ehlo=("PIPELINING",))
    d = daemon(smarthost(s.port))
    body = bytes(range(128, 256)) + b"\r\n"
    c = Client(d.port)
    assert c.mail("from@here.test", ["to@there.test"], message("m", body=body), " BODY=8BITMIME")[0] == 250
    c.quit()
    assert until(lambda: s.messages, 8)
    assert s.messages[0].data.endswith(b"\r\n\r\n" + body) and s.messages[0].params == ""


def test_what_is_too_large_for_the_next_hop_is_returned_without_sending_it(daemon, sink):
    s = sink(ehlo=("PIPELINING", "SIZE 10000"))
    d = daemon("postmaster pm@there.test\nbounce-to sender\n" + RETRY + smarthost(s.port))
    send(d.port, "from@here.test", ["to@there.test"], message("m", body=(b"x" * 70 + b"\r\n") * 1200))
    assert until(lambda: s.to("from@here.test"), 8)
    assert "5.3.4" in s.messages[0].data.decode()


# the next one

def test_the_next_host_of_a_smarthost_is_tried_at_once(daemon, sink):
    dead, s = DeadPort(), sink()
    d = daemon("retry 1h\n" + transport("up", dead.port, s.port) + "route via up\n")
    one(d)
    assert until(lambda: s.messages, 5)
    assert not d.events("delivery", status="deferred")


def test_a_host_that_only_refuses_at_the_greeting_is_passed_over(daemon, sink):
    no, s = sink(lambda stage, session, arg: "554 5.3.2 no" if stage == "connect" else None), sink()
    d = daemon("retry 1h\n" + transport("up", no.port, s.port) + "route via up\n")
    one(d)
    assert until(lambda: s.messages, 5)


@pytest.mark.parametrize("stage,answer", [("connect", "554 5.3.2 no"), ("connect", "421 4.3.2 busy"), ("ehlo", "421 4.3.2 busy"), (None, None)])
def test_via_a_b_takes_b_at_the_same_due_time(daemon, sink, stage, answer):
    a, b, dead = sink(lambda at, session, arg: answer if at == stage else None), sink(), DeadPort()
    d = daemon("retry 1h\n" + transport("a", a.port if stage else dead.port) + transport("b", b.port) + "route via a b\n")
    one(d)
    assert until(lambda: b.messages, 5)
    assert not a.messages and not d.events("delivery", status="deferred")


@pytest.mark.parametrize("stage,answer", [("mail", "451 4.3.0 later"), ("rcpt", "450 4.2.0 later"), ("body", "452 4.3.1 full")])
def test_a_servers_own_answer_to_the_message_does_not_fail_over(daemon, sink, stage, answer):
    seen = []

    def script(at, session, arg):
        if at == stage:
            seen.append(1)
            return answer if len(seen) == 1 else None
        return None
    a, b = sink(script), sink()
    d = daemon(RETRY + transport("a", a.port) + transport("b", b.port) + "route via a b\n")
    one(d)
    assert until(lambda: a.messages, 8)
    assert not b.sessions


def test_both_unreachable_is_one_attempt(daemon, sink):
    dead = [DeadPort(), DeadPort()]
    d = daemon("retry 1h\n" + transport("a", dead[0].port) + transport("b", dead[1].port) + "route via a b\n")
    one(d)
    assert d.wait_event("delivery", status="deferred")
    assert len(d.events("delivery")) == 1


@pytest.mark.parametrize("why", ["refused", "unreachable"])
def test_attempts_3_helps_from_the_fourth_on(daemon, sink, why):
    s = sink(lambda stage, session, arg: "451 4.3.0 no" if stage == "mail" else None)
    dead, backup = DeadPort(), sink()
    d = daemon(RETRY + transport("main", s.port if why == "refused" else dead.port) + transport("backup", backup.port) +
               "route attempts 3 via backup\nroute via main\n")
    one(d)
    assert until(lambda: backup.messages, 10)
    assert d.wait_event("delivery", status="sent")
    lines = d.events("delivery")
    assert [(e["transport"], e["status"]) for e in lines] == [("main", "deferred")] * 3 + [("backup", "sent")]
    assert len(commands(s, "MAIL")) == (3 if why == "refused" else 0)


def test_routes_are_judged_anew_after_a_restart_with_another_configuration(daemon, sink):
    dead, b = DeadPort(), sink()
    d = daemon(RETRY + transport("a", dead.port) + transport("b", b.port) + "route via a\n")
    one(d)
    assert d.wait_event("delivery", status="deferred")
    assert d.stop() == 0
    d.configure(RETRY + transport("b", b.port) + "route via b\n").start()
    assert until(lambda: b.messages, 8)


def test_a_route_by_sender_recipient_and_size(daemon, sink):
    a, b, c = sink(), sink(), sink()
    d = daemon("".join(transport(n, x.port) for n, x in zip("abc", (a, b, c))) +
               "route larger 20K via c\nroute from @boss.test to .there.test via a\nroute via b\n")
    for ident, sender, rcpt, size, where in (("1", "x@boss.test", "y@there.test", 10, a), ("2", "x@boss.test", "y@sub.there.test", 10, a),
                                             ("3", "x@staff.test", "y@there.test", 10, b), ("4", "x@boss.test", "y@other.test", 10, b),
                                             ("5", "x@boss.test", "y@there.test", 30000, c)):
        assert send(d.port, sender, [rcpt], message(ident, body=b"z" * 70 + b"\r\n" * size))[0] == 250
        assert until(lambda i=ident, r=rcpt, w=where: (i, r) in w.ids(), 5), ident


def test_fail_and_discard_need_no_server(daemon, sink):
    s = sink()
    d = daemon("postmaster pm@there.test\nbounce-to sender\n" + RETRY + transport("up", s.port) +
               'transport no { fail 550 "not by this way" }\ntransport hole { discard }\n'
               "route to no.test via no\nroute to hole.test via hole\nroute via up\n")
    one(d, ["a@no.test", "b@hole.test"])
    assert until(lambda: s.to("from@here.test"), 8)
    assert b"not by this way" in s.messages[0].data and b"b@hole.test" not in s.messages[0].data.split(b"message/rfc822")[0]
    assert until(lambda: len(d.events("removed")) == 2, 5)
