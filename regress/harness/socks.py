"""A scripted SOCKS 5 proxy on a thread of its own."""
import asyncio
import socket
import struct

from harness.server import Server


class Proxy(Server):
    """Proxy() relays to wherever it is asked.  users={name: password} demands a login.  names={host: (address, port) or address} is what it looks
    up itself; anything else is connected to as it is said.  script(stage, arg) may return a reply code for stage "connect" (arg: (host, port)),
    or DROP to close the connection, or HANG to say nothing; stages: accept method login connect relayed (arg: octets from the client so far).
    wanted lists (host, port) of each CONNECT."""

    DROP, HANG = object(), object()

    def __init__(self, script=None, users=None, names=None, host="127.0.0.1", port=0):
        self.script, self.users, self.names, self.host, self.port = script, users, names or {}, host, port
        self.wanted, self.logins, self.accepted = [], [], 0
        self.start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    async def _stage(self, name, arg=None):
        answer = self.script(name, arg) if self.script else None
        if answer is self.DROP:
            raise ConnectionError
        if answer is self.HANG:
            await asyncio.sleep(3600)
        return answer

    async def _client(self, reader, writer):
        self.accepted += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _talk(self, reader, writer):
        await self._stage("accept")
        version, n = await reader.readexactly(2)
        methods = await reader.readexactly(n)
        method = 2 if self.users is not None else 0
        await self._stage("method", methods)
        if version != 5 or method not in methods:
            writer.write(b"\5\xff")
            await writer.drain()
            return
        writer.write(bytes([5, method]))
        if method == 2:
            _, n = await reader.readexactly(2)
            name = (await reader.readexactly(n)).decode()
            word = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            await self._stage("login", name)
            self.logins.append(name)
            writer.write(b"\1\0" if self.users.get(name) == word else b"\1\1")
            await writer.drain()
            if self.users.get(name) != word:
                return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = socket.inet_ntop(*((socket.AF_INET, await reader.readexactly(4)) if kind == 1 else (socket.AF_INET6, await reader.readexactly(16))))
        port, = struct.unpack(">H", await reader.readexactly(2))
        self.wanted.append((host, port))
        code = await self._stage("connect", (host, port))
        if code:
            writer.write(bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
            await writer.drain()
            return
        to = self.names.get(host, host)
        try:
            r, w = await asyncio.open_connection(*(to if isinstance(to, tuple) else (to, port)))
        except OSError:
            writer.write(b"\5\5\0\1\0\0\0\0\0\0")
            await writer.drain()
            return
        # the first octets of the server come right behind the reply
        writer.write(b"\5\0\0\1\0\0\0\0\0\0" + await r.read(65536))
        try:
            await self._relay(reader, writer, r, w)
        finally:
            w.transport.abort()

    async def _relay(self, reader, writer, r, w):
        async def back():
            while data := await r.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
        task = asyncio.ensure_future(back())
        seen = 0
        try:
            while data := await reader.read(4096):
                seen += len(data)
                await self._stage("relayed", seen)
                w.write(data)
                await w.drain()
        finally:
            task.cancel()
