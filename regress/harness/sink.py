"""A scripted SMTP server on a thread of its own."""
import asyncio
import base64
import re

from harness.server import Server

DROP = object()         # close the connection at once


class Message:
    __slots__ = ("mail_from", "params", "rcpts", "data", "session")

    def __init__(self, mail_from, params, rcpts, data, session):
        self.mail_from, self.params, self.rcpts, self.data, self.session = mail_from, params, rcpts, data, session


class Session:
    def __init__(self, number):
        self.number = number
        self.commands = []
        self.helo = self.peer = None
        self.ahead = []         # stages whose delayed answer was not waited for
        self.tls = self.resumed = False
        self.login = None


class Sink(Server):
    """script(stage, session, arg) decides an answer: None for the usual one, text, bytes (as they are), DROP, or
    (seconds, answer).  Stages: connect ehlo helo mail rcpt data bdat body rset noop quit.  A message is recorded before
    its reply is sent, as a real server stores before it answers.  With CHUNKING in ehlo BDAT is understood too; with tls
    (an ssl.SSLContext) STARTTLS, or TLS at once where implicit; with users ({name: password}) AUTH PLAIN and LOGIN, which
    are then demanded.  With lmtp it speaks that, and the answer of the stage body may be a list, one for each recipient;
    with path it listens at a UNIX socket."""

    def __init__(self, script=None, ehlo=("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES"), host="127.0.0.1", port=0, tls=None,
                 implicit=False, users=None, lmtp=False, path=None):
        self.lmtp, self.path = lmtp, path
        self.script, self.ehlo, self.host, self.port = script, list(ehlo), host, port
        self.tls, self.implicit, self.users = tls, implicit, users
        self.messages, self.sessions = [], []
        self.open = self.most = 0
        self.errors = []
        self.start()

    def _listen(self):
        return super()._listen(ssl=self.tls if self.implicit else None)

    # looking
    def to(self, address):
        return [m for m in list(self.messages) if address in m.rcpts]

    def ids(self, pattern=rb"(?mi)^X-Test-Id: *(\S+)"):
        """{id: how many copies, counted by recipient}"""
        out = {}
        for m in list(self.messages):
            g = re.search(pattern, m.data[:65536])
            k = g.group(1).decode() if g else None
            for a in m.rcpts:
                out[(k, a)] = out.get((k, a), 0) + 1
        return out

    # serving
    async def _say(self, reader, writer, stage, session, arg, usual):
        answer = self.script(stage, session, arg) if self.script else None
        if isinstance(answer, tuple):
            if await reader.comes_within(answer[0]):
                session.ahead.append(stage)
            answer = answer[1]
        if answer is None:
            answer = usual
        if answer is DROP:
            writer.transport.abort()
            raise ConnectionError
        raw = answer if isinstance(answer, bytes) else answer.encode() + b"\r\n"
        writer.write(raw)
        await writer.drain()
        return raw[:1]

    async def _client(self, reader, writer):
        s = Session(len(self.sessions))
        s.peer = writer.get_extra_info("peername")
        self.sessions.append(s)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self._talk(reader, writer, s)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        except Exception as e:          # a fault of the test itself must be seen
            self.errors.append(repr(e))
        finally:
            self.open -= 1
            writer.close()

    async def _talk(self, reader, writer, s):
        async def say(stage, arg, usual):
            return await self._say(reader, writer, stage, s, arg, usual)
        reader = _Wire(reader)
        await say("connect", None, "220 sink.test ESMTP")
        mail, params, rcpts, chunks = None, "", [], []
        while True:
            line = (await reader.line()).decode("utf-8", "surrogateescape")
            s.commands.append(line)
            verb, _, arg = line.partition(" ")
            verb = verb.upper()
            if self.lmtp != (verb == "LHLO") and verb in ("EHLO", "HELO", "LHLO"):
                await say(verb.lower(), arg, "500 5.5.1 this is another protocol")
            elif verb in ("EHLO", "HELO", "LHLO"):
                s.helo = arg
                tls = writer.get_extra_info("ssl_object")
                s.resumed = bool(tls and tls.session_reused)
                lines = ["sink.test"] + (self.ehlo + self._more(s) if verb != "HELO" else [])
                await say(verb.lower(), arg, "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{x}" for i, x in enumerate(lines)))
                mail, rcpts = None, []
            elif verb == "STARTTLS" and self.tls and not s.tls:
                if await say("starttls", None, "220 2.0.0 go on") != b"2":
                    continue
                await writer.start_tls(self.tls)
                s.tls = True
            elif verb == "AUTH" and self.users is not None:
                s.login = await self._auth(reader, writer, arg)
                await say("auth", s.login, "235 2.7.0 welcome" if s.login else "535 5.7.8 no")
            elif verb == "MAIL" and self.users is not None and not s.login:
                await say("mail", arg, "530 5.7.0 log in first")
            elif verb == "MAIL":
                g = re.match(r"(?i)FROM:<([^>]*)> ?(.*)$", arg)
                if await say("mail", arg, "250 2.1.0 ok" if g else "501 5.5.4 syntax") == b"2" and g:
                    mail, params, rcpts = g.group(1), g.group(2), []
            elif verb == "RCPT":
                g = re.match(r"(?i)TO:<([^>]*)>", arg)
                if await say("rcpt", g.group(1) if g else arg, "250 2.1.5 ok" if mail is not None else "503 5.5.1 MAIL first") == b"2":
                    rcpts.append(g.group(1))
            elif verb == "DATA":
                if not rcpts:
                    await say("data", None, "554 5.5.1 no valid recipients")
                    continue
                if await say("data", None, "354 go on") != b"3":
                    continue
                m = Message(mail, params, rcpts, await reader.text(), s)
                answer = await self._body(writer, s, m)
                mail, rcpts = None, []
                if answer is None:
                    return
            elif verb == "BDAT" and "CHUNKING" in self.ehlo:
                size, _, last = arg.partition(" ")
                chunks.append(await reader.exactly(int(size)))
                if not rcpts:
                    chunks = []
                    await say("bdat", arg, "554 5.5.1 no valid recipients")
                    continue
                if last.upper() != "LAST":
                    await say("bdat", arg, "250 2.0.0 go on")
                    continue
                m = Message(mail, params, rcpts, b"".join(chunks), s)
                answer = await self._body(writer, s, m)
                mail, rcpts, chunks = None, [], []
                if answer is None:
                    return
            elif verb == "RSET":
                mail, rcpts = None, []
                await say("rset", None, "250 2.0.0 ok")
            elif verb == "QUIT":
                await say("quit", None, "221 2.0.0 bye")
                return
            else:
                await say("noop", line, "250 2.0.0 ok" if verb == "NOOP" else "500 5.5.2 what?")

    def _more(self, s):
        s.tls = s.tls or self.implicit
        out = ["STARTTLS"] if self.tls and not s.tls else []
        return out + (["AUTH PLAIN LOGIN"] if self.users is not None and (s.tls or not self.tls) else [])

    async def _auth(self, reader, writer, arg):
        """The name that has logged in, or None."""
        mechanism, _, text = arg.partition(" ")

        async def ask(prompt):
            writer.write(b"334 " + base64.b64encode(prompt) + b"\r\n")
            return base64.b64decode(await reader.line())
        if mechanism.upper() == "PLAIN":
            _, name, password = (base64.b64decode(text) if text else await ask(b"")).split(b"\0")
        else:
            name = base64.b64decode(text) if text else await ask(b"Username:")
            password = await ask(b"Password:")
        return name.decode() if self.users.get(name.decode()) == password.decode() else None

    async def _body(self, writer, s, m):
        answer = self.script("body", s, m) if self.script else None
        if self.lmtp:
            return await self._bodies(writer, m, answer)
        delay = 0
        if isinstance(answer, tuple):
            delay, answer = answer
        if answer is None or (isinstance(answer, str) and answer.startswith("2")):
            self.messages.append(m)     # stored before it is answered
        await asyncio.sleep(delay)
        if answer is DROP:
            writer.transport.abort()
            return None
        writer.write(answer if isinstance(answer, bytes) else (answer or "250 2.0.0 taken").encode() + b"\r\n")
        await writer.drain()
        return answer or "250"

    async def _bodies(self, writer, m, answers):
        if not isinstance(answers, list):
            answers = [answers] * len(m.rcpts)
        pairs = list(zip(m.rcpts, answers))
        m.rcpts = [r for r, a in pairs if a is None or (isinstance(a, str) and a.startswith("2"))]
        if m.rcpts:
            self.messages.append(m)
        for r, a in pairs:
            if a is DROP:
                writer.transport.abort()
                return None
            writer.write((a or f"250 2.0.0 <{r}> taken").encode() + b"\r\n")
            await writer.drain()
        return "250"


class _Wire:
    """What comes in, by lines and by messages; strict about CRLF."""

    def __init__(self, reader):
        self.reader, self.buf = reader, bytearray()

    async def _more(self):
        data = await self.reader.read(1 << 18)
        if not data:
            raise ConnectionError
        self.buf += data

    async def comes_within(self, seconds):
        """Waits; whether more has come by then."""
        end = asyncio.get_running_loop().time() + seconds
        had = len(self.buf)
        while True:
            try:
                await asyncio.wait_for(self._more(), max(0, end - asyncio.get_running_loop().time()))
            except asyncio.TimeoutError:
                return len(self.buf) > had or had > 0

    async def _until(self, what, start=0):
        """Where it begins."""
        while True:
            at = self.buf.find(what, start)
            if at >= 0:
                return at
            start = max(start, len(self.buf) - len(what) + 1)
            await self._more()

    async def line(self):
        end = await self._until(b"\r\n")
        line = bytes(self.buf[:end])
        del self.buf[:end + 2]
        return line

    async def exactly(self, n):
        while len(self.buf) < n:
            await self._more()
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    async def text(self):
        """A message behind DATA, with its dots unstuffed."""
        self.buf[:0] = b"\r\n"         # so that each line begins alike
        end = await self._until(b"\r\n.\r\n")
        raw = bytes(self.buf[:end + 2])
        del self.buf[:end + 5]
        return raw.replace(b"\r\n.", b"\r\n")[2:]
