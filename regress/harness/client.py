"""A raw SMTP client that sends exactly what it is told."""
import socket


def message(ident, sender="from@here.test", to="to@there.test", body=b"hello\r\n", extra=b""):
    """A complete message: nothing has to be added to it."""
    return (f"Date: Fri, 20 Nov 2026 04:05:06 +0000\r\nFrom: <{sender}>\r\nTo: <{to}>\r\nSubject: {ident}\r\n"
            f"Message-ID: <{ident}@here.test>\r\nX-Test-Id: {ident}\r\n").encode() + extra + b"\r\n" + body


def stuffed(data):
    out = (b"." if data.startswith(b".") else b"") + data.replace(b"\r\n.", b"\r\n..")
    return out if out.endswith(b"\r\n") or not out else out + b"\r\n"


class Client:
    """Client(port) or Client(unix=PATH); cmd() -> (code, text with newlines)."""

    def __init__(self, port=None, host="127.0.0.1", unix=None, timeout=30, hello=True, source=None):
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(str(unix))
        else:
            self.sock = socket.create_connection((host, port), timeout, (source, 0) if source else None)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.caps = {}
        self.greeting = self.reply()
        if hello:
            self.ehlo()

    def send(self, data):
        self.sock.sendall(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)

    def line(self):
        while b"\n" not in self.buf:
            d = self.sock.recv(65536)
            if not d:
                raise ConnectionError(f"closed by the server after {self.buf!r}")
            self.buf += d
        line, self.buf = self.buf.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def reply(self):
        out = []
        while True:
            line = self.line()
            out.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(out)

    def cmd(self, line):
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.reply()

    def ehlo(self, name="client.test"):
        code, text = self.cmd("EHLO " + name)
        self.caps = dict((line.split(" ", 1) + [""])[:2] for line in text.split("\n")[1:]) if code == 250 else {}
        return code, text

    def closed(self):
        """True once the server has closed the connection."""
        try:
            while self.sock.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except ConnectionError:
            return True

    def mail(self, sender, rcpts, data, params=""):
        """One message; the final reply, or that of the first refusal."""
        for line in [f"MAIL FROM:<{sender}>{params}"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]:
            code, text = self.cmd(line)
            if code not in (250, 251, 354):
                return code, text
        self.send(stuffed(data) + b".\r\n")
        return self.reply()

    def bdat(self, sender, rcpts, data, chunk=65536, params=""):
        """The same by BDAT, all of it in one go; the reply to the last chunk, or the first refusal."""
        lines = [f"MAIL FROM:<{sender}>{params}"] + [f"RCPT TO:<{r}>" for r in rcpts]
        pieces = [data[i:i + chunk] for i in range(0, len(data), chunk)] or [b""]
        out = "".join(line + "\r\n" for line in lines).encode()
        for i, p in enumerate(pieces):
            out += b"BDAT %d%s\r\n" % (len(p), b" LAST" if i == len(pieces) - 1 else b"") + p
        self.send(out)
        answers = [self.reply() for _ in range(len(lines) + len(pieces))]
        return next((a for a in answers if a[0] // 100 != 2), answers[-1])

    def pipelined(self, sender, rcpts, data, params=""):
        """The same with all commands in one go."""
        lines = [f"MAIL FROM:<{sender}>{params}"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]
        self.send("".join(line + "\r\n" for line in lines))
        for answer in [self.reply() for _ in lines]:
            if answer[0] not in (250, 251, 354):
                return answer
        self.send(stuffed(data) + b".\r\n")
        return self.reply()

    def close(self):
        self.sock.close()

    def quit(self):
        try:
            self.cmd("QUIT")
        except (OSError, ValueError):
            pass
        self.close()


def send(port, sender, rcpts, data, timeout=30, **kw):
    c = Client(port, timeout=timeout)
    try:
        return c.mail(sender, rcpts, data, **kw)
    finally:
        c.quit()
