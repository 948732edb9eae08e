"""Other programs log in elsewhere with our tokens: msmtp sends, mbsync fetches, both by `relayctl oauth token`."""
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse

import pytest

from harness.daemon import BIN, work_user
from harness.dovecot import PROGRAM, Server
from test_oauth import World, account, token_file

IMAP = "/usr/lib/dovecot/imap"


@pytest.fixture
def world():
    w = World()
    yield w
    w.stop()


def needs(*programs):
    gone = [p for p in programs if not (shutil.which(p) or os.path.exists(p))]
    return pytest.mark.skipif(bool(gone), reason=f"not installed: {' '.join(gone)}")


def token_command(d):
    return f"{BIN}/relayctl -f {d.conf} oauth token a@corp.test"


@needs("msmtp")
@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_msmtp(daemon, world, method):
    p = world.provider()
    up = world.upstream(p.good, mechanisms=(method.upper(),))
    d = daemon(account(world, up, f"  oauth2 token-file {token_file(world, p)}"))
    rc = world.dir / "msmtprc"
    rc.write_text(f"account default\nhost localhost\nport {up.port}\ntls on\ntls_starttls on\ntls_trust_file {world.ca.file}\nauth {method}\n"
                  f"user a@corp.test\nfrom a@corp.test\npasswordeval \"{token_command(d)}\"\n")
    rc.chmod(0o600)
    r = subprocess.run(["msmtp", "-C", rc, "--", "to@far.test"], input=b"Subject: x\n\nhi\n", capture_output=True, timeout=30)
    assert r.returncode == 0, r.stderr.decode()
    assert up.to("to@far.test")[0].session.login == "a@corp.test"


class Introspection:
    """Tells Dovecot whose a token is (RFC 7662)."""

    def __init__(self, good):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                active = good("a@corp.test", form.get("token", [""])[0])
                body = json.dumps({"active": bool(active), **({"email": "a@corp.test"} if active else {})}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/introspect"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class DovecotImap(Server):
    """IMAP with TLS; who logs in shows a token, and nothing else."""

    def __init__(self, pair, introspection):
        super().__init__()
        home, self.box = self.own_dir("home"), self.own_dir("home/box")
        for name in ("new", "cur", "tmp"):
            self.own_dir(f"home/box/{name}")
        (self.dir / "oauth2").write_text(f"introspection_mode = post\nintrospection_url = {introspection}\nusername_attribute = email\n"
                                         "active_attribute = active\nactive_value = true\n")
        self.start(f"""
protocols = imap
auth_mechanisms = oauthbearer xoauth2 plain login
ssl = required
ssl_cert = <{pair[0]}
ssl_key = <{pair[1]}
passdb {{
  driver = oauth2
  args = {self.dir}/oauth2
}}
userdb {{
  driver = static
  args = uid={self.user.pw_uid} gid={self.user.pw_gid} home={home}
}}
mail_location = maildir:{self.box}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")


@needs("mbsync", PROGRAM, IMAP)
def test_mbsync(daemon, world):
    p = world.provider()
    d = daemon(account(world, world.upstream(p.good), f"  oauth2 token-file {token_file(world, p)}"))
    asked = Introspection(p.good)
    v = DovecotImap(world.ca.cert("localhost", file="imap"), asked.url)
    try:
        (v.box / "new" / "1.1.x").write_bytes(b"Subject: fetched with a token\n\nhi\n")
        shutil.chown(v.box / "new" / "1.1.x", work_user())
        rc, here = world.dir / "mbsyncrc", world.dir / "mail"
        here.mkdir()

        def sync(command):
            rc.write_text(f"IMAPAccount up\nHost localhost\nPort {v.port}\nUser a@corp.test\nPassCmd \"{command}\"\nSSLType STARTTLS\n"
                          f"CertificateFile {world.ca.file}\nAuthMechs PLAIN LOGIN\n\nIMAPStore far\nAccount up\n\n"
                          f"MaildirStore near\nPath {here}/\nInbox {here}/inbox\n\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
            rc.chmod(0o600)
            return subprocess.run(["mbsync", "-c", rc, "all"], capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(world.dir)})
        r = sync("echo no-token-at-all")
        assert r.returncode != 0 and not list(here.glob("inbox/*/*"))
        r = sync(token_command(d))
        assert r.returncode == 0, r.stdout + r.stderr + v.said
        got = [f.read_text() for f in here.glob("inbox/*/*") if f.is_file()]
        assert len(got) == 1 and re.search("Subject: fetched with a token", got[0])
    finally:
        v.stop()
        asked.stop()
