"""Servers on a thread and a loop of their own."""
import asyncio
import threading


class Server:
    """_client(reader, writer) serves one connection; start() listens at host and port, or at the UNIX socket path; a port of
    0 becomes the one that was found."""

    host, port, path = "127.0.0.1", 0, None

    def start(self):
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        assert self._started.wait(10), "it does not listen"

    def _main(self):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(lambda *_: None)
        self.server = self.loop.run_until_complete(self._listen())
        if self.path is None:
            self.port = self.server.sockets[0].getsockname()[1]
        self._started.set()
        self.loop.run_forever()
        self.loop.close()

    def _listen(self, **kw):
        if self.path is not None:
            return asyncio.start_unix_server(self._client, self.path, **kw)
        return asyncio.start_server(self._client, self.host, self.port, backlog=1024, **kw)

    async def _client(self, reader, writer):
        raise NotImplementedError

    def stop(self):
        """Closes the port and all connections; start() opens the same port again."""
        if not self.thread.is_alive():
            return

        def end():
            self.server.close()
            for t in asyncio.all_tasks(self.loop):
                t.cancel()
            self.loop.call_later(0.02, self.loop.stop)
        self.loop.call_soon_threadsafe(end)
        self.thread.join(5)
