"""An OAuth2 provider on HTTPS, shaped like Microsoft's and Google's, and a next hop that takes its tokens."""
import base64
import collections
import hashlib
import http.server
import json
import re
import secrets
import socket
import threading
import time
import urllib.parse

from harness.sink import Sink

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Provider:
    """url is its base.  script: a deque of answers to give instead, one each: (status, type, body[, headers]), a number of
    seconds to wait first, or None to break off.  posts: decoded forms of the token endpoint, with "path".

    Each use of a refresh token kills it and gives a new one where rotate; lifetime is expires_in, as it is sent.  With late
    it is killed by the first use of what it has brought: who has not got the answer may ask again, who has used it may not."""

    def __init__(self, tls, rotate=True, lifetime=3600, late=False):
        self.rotate, self.lifetime, self.late = rotate, lifetime, late
        self.brought = {}           # what a refresh token has brought, and that token
        self.script, self.posts, self.requests = collections.deque(), [], []
        self.refresh, self.access, self.codes, self.devices = {}, {}, {}, {}
        self.secrets, self.delay, self.busy, self.busiest, self.interval = {}, 0, 0, 0, 0
        self.issuer = None          # what it calls itself, when not url
        self.pending = 0            # polls of a device that are told to wait
        self.lock = threading.RLock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                path, _, query = self.path.partition("?")
                owner.requests.append((self.command, path, dict(self.headers)))
                a = owner.handle(path, dict(urllib.parse.parse_qsl(body or query, keep_blank_values=True)), body)
                if a is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, kind, text, more = (*a, {})[:4]
                raw = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                for k, v in more.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET = answer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self):
                s, peer = super().get_request()
                return tls.wrap_socket(s, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, *_):
                pass
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # what a test arranges and looks at
    @property
    def token_endpoint(self):
        return self.url + "/common/oauth2/v2.0/token"

    def consent(self, user):
        """A refresh token, with all that breaks a form that is not encoded."""
        t = "1//0" + secrets.token_urlsafe(12) + "+/=&%x"
        self.refresh[t] = user
        return t

    def issue(self, user):
        t = "ya29." + secrets.token_urlsafe(24)
        self.access[t] = user
        return t

    def seen(self, token):
        """What came before it is of no use any more."""
        old = self.brought.pop(token, None)
        if old is not None:
            self.refresh.pop(old, None)
            self.seen(old)

    def good(self, user, token):
        self.seen(token)
        return self.access.get(token) == user

    def grants(self, kind="refresh_token"):
        return [p for p in list(self.posts) if p.get("grant_type") == kind]

    # serving
    def handle(self, path, form, raw):
        if path.endswith("/token"):
            with self.lock:
                self.posts.append({**form, "path": path, "raw": raw})
                self.busy += 1
                self.busiest = max(self.busiest, self.busy)
                said = self.script.popleft() if self.script else False
            try:
                if isinstance(said, (int, float)) and said is not False:
                    time.sleep(said)
                    said = False
                time.sleep(self.delay)
                return self.token(form) if said is False else said
            finally:
                with self.lock:
                    self.busy -= 1
        if path.endswith("/devicecode"):
            code, user_code = secrets.token_urlsafe(16), "WDJB-" + secrets.token_hex(2).upper()
            self.devices[code] = {"user_code": user_code, "user": None, "declined": False, "scope": form.get("scope")}
            return self.json(200, {"device_code": code, "user_code": user_code, "verification_uri": self.url + "/devicelogin",
                                   "expires_in": 900, "interval": self.interval, "message": "To sign in ..."})
        if path.endswith("/authorize"):
            code = "0.A" + secrets.token_urlsafe(8) + "+/%"
            self.codes[code] = form
            back = form["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": form["state"]})
            return 302, "text/html", "", {"Location": back}
        if path.endswith("/.well-known/openid-configuration"):
            return self.json(200, {"issuer": self.issuer or self.url, "token_endpoint": self.token_endpoint, "jwks_uri": self.url + "/keys",
                                   "device_authorization_endpoint": self.url + "/common/oauth2/v2.0/devicecode",
                                   "authorization_endpoint": self.url + "/common/oauth2/v2.0/authorize"})
        if path.endswith("/revoke"):
            self.refresh.pop(form.get("token"), None)
            return self.json(200, {})
        return 404, "text/html", "<h1>not found</h1>"

    def json(self, status, value, headers=None):
        return status, "application/json; charset=utf-8", json.dumps(value), headers or {}

    def error(self, code, text="", status=400):
        return self.json(status, {"error": code, "error_description": text, "trace_id": "t", "correlation_id": "c"})

    def grant(self, user, refresh=True):
        out = {"token_type": "Bearer", "access_token": self.issue(user), "expires_in": self.lifetime, "scope": "mail offline_access"}
        if refresh:
            out["refresh_token"] = self.consent(user)
        return self.json(200, out)

    def client_is_wrong(self, form):
        want = self.secrets.get(form.get("client_id"), "")
        if form.get("client_secret", "") == want:
            return None
        return self.error("invalid_client", "AADSTS700025: Client is public" if not want else "AADSTS7000215: Invalid client secret provided.", 401)

    def token(self, form):
        kind = form.get("grant_type")
        if kind == JWT_BEARER:
            header, claims, _ = (unpad(p) for p in form["assertion"].split("."))
            return self.grant(json.loads(claims)["sub"], refresh=False)
        if kind == "client_credentials" and "client_assertion" in form:
            return self.grant("box@corp.test", refresh=False)
        wrong = self.client_is_wrong(form)
        if wrong:
            return wrong
        if kind == "client_credentials":
            return self.grant("box@corp.test", refresh=False)
        if kind == "refresh_token":
            with self.lock:
                user = self.refresh.get(form.get("refresh_token"))
                if user is None:
                    return self.error("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.\r\nTrace ID: x")
                if self.late:
                    self.seen(form["refresh_token"])
                    out = self.grant(user)
                    new = json.loads(out[2])
                    self.brought.update({new[k]: form["refresh_token"] for k in ("access_token", "refresh_token")})
                    return out
                if self.rotate:
                    del self.refresh[form["refresh_token"]]
            return self.grant(user, refresh=self.rotate)
        if kind == DEVICE:
            d = self.devices.get(form.get("device_code"))
            if d is None:
                return self.error("bad_verification_code")
            if d["declined"]:
                return self.error("authorization_declined")
            if d["user"] is None or self.pending > 0:
                self.pending -= 1
                return self.error("authorization_pending", "AADSTS70016: pending")
            return self.grant(d["user"])
        if kind == "authorization_code":
            asked = self.codes.pop(form.get("code"), None)
            verifier = form.get("code_verifier", "")
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
                return self.error("invalid_grant", "AADSTS501481: it does not match")
            return self.grant(asked.get("login_hint") or "user@corp.test")
        return self.error("unsupported_grant_type")


class TokenSink(Sink):
    """Demands XOAUTH2 or OAUTHBEARER inside TLS: good(user, token) tells who may.  challenge: it says why not in a 334, as
    Google does, and waits for the answer."""

    def __init__(self, tls, good, mechanisms=("XOAUTH2",), challenge=True, refusal="535 5.7.8 Username and Password not accepted", **kw):
        self.good, self.mechanisms, self.challenge, self.refusal = good, mechanisms, challenge, refusal
        self.shown, self.answers = [], []
        script = kw.pop("script", None)

        def both(stage, session, arg):
            if stage == "auth" and arg is None:
                return self.refusal
            return script(stage, session, arg) if script else None
        super().__init__(both, tls=tls, users={}, **kw)

    def _more(self, s):
        s.tls = s.tls or self.implicit
        return ["AUTH " + " ".join(self.mechanisms)] if s.tls else ["STARTTLS"]

    async def _auth(self, reader, writer, arg):
        mechanism, _, text = arg.partition(" ")
        if not text:
            writer.write(b"334 \r\n")
            text = (await reader.line()).decode()
        raw = base64.b64decode(text).decode()
        if mechanism == "XOAUTH2":
            g = re.fullmatch("user=([^\x01]*)\x01auth=Bearer ([^\x01]+)\x01\x01", raw)
            user, token = g.groups() if g else (None, None)
        else:
            g = re.fullmatch("n,a=([^,]*),\x01host=([^\x01]*)\x01port=([0-9]+)\x01auth=Bearer ([^\x01]+)\x01\x01", raw)
            user, token = (g.group(1).replace("=2C", ",").replace("=3D", "="), g.group(4)) if g else (None, None)
        self.shown.append((mechanism, user, token))
        if user and self.good(user, token):
            return user
        if self.challenge:
            writer.write(b"334 " + base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}') + b"\r\n")
            self.answers.append((mechanism, await reader.line()))
        return None
