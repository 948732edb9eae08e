"""A web server for MTA-STS policies of several domains, one certificate for each name."""
import http.server
import threading
import time


class Policies:
    """p = Policies(context); p.publish("x.test", "enforce", "mx.x.test").  context(name) makes a server's
    ssl.SSLContext.  Serves https://mta-sts.DOMAIN/.well-known/mta-sts.txt on its port
    (daemons find it by SMARTHOSTD_MTA_STS_PORT).  answer(domain, ...) says what is served instead: status, type, text, headers;
    slow: seconds before it begins; drip: octets a second.  fetched(domain) counts."""

    def __init__(self, context, host="127.0.0.1"):
        self.context, self.pages, self.contexts = context, {}, {}
        self.requests = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                name = (self.headers.get("Host") or "").split(":")[0]
                owner.requests.append((name, self.path, dict(self.headers)))
                page = dict(status=404, type="text/plain", text="no such page\n", headers={}, slow=0, drip=0)
                if self.path == "/.well-known/mta-sts.txt":
                    page.update(owner.pages.get(name, {}))
                if page["slow"]:
                    time.sleep(page["slow"])
                raw = page["text"] if isinstance(page["text"], bytes) else page["text"].encode()
                self.send_response(page["status"])
                if page["type"]:
                    self.send_header("Content-Type", page["type"])
                for k, v in page["headers"].items():
                    self.send_header(k, v)
                if not page["drip"]:
                    self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                if page["drip"]:
                    self.close_connection = True
                    for i in range(0, len(raw), page["drip"]):
                        self.wfile.write(raw[i:i + page["drip"]])
                        self.wfile.flush()
                        time.sleep(1)
                else:
                    self.wfile.write(raw)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                s, peer = super().get_request()
                return owner.outer.wrap_socket(s, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, *_):
                pass
        self.outer = context("policies.test")
        self.outer.sni_callback = self._choose
        self.handler, self.kind, self.host, self.port = Handler, Server, host, 0
        self.start()

    def _choose(self, sock, name, _):
        if name in self.contexts:
            sock.context = self.contexts[name]

    def start(self):
        self.server = self.kind((self.host, self.port), self.handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def publish(self, domain, mode, *mx, age=604800, more="", context=None):
        text = f"version: STSv1\r\nmode: {mode}\r\n" + "".join(f"mx: {m}\r\n" for m in mx) + f"max_age: {age}\r\n{more}"
        name = "mta-sts." + domain
        if context is not None or name not in self.contexts:
            self.contexts[name] = context or self.context(name)
        self.answer(domain, text=text)

    def answer(self, domain, **page):
        self.pages["mta-sts." + domain] = {"status": 200, **page}

    def fetched(self, domain):
        return len([r for r in list(self.requests) if r[0] == "mta-sts." + domain])
