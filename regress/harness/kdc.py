"""A Kerberos realm of the test's own, KRB.TEST: MIT's KDC at a port of the kernel's, and mail servers that take its tickets."""
import base64
import os
import pathlib
import shutil
import subprocess

from harness.daemon import free_port, until, work_dir
from harness.sink import Sink

try:
    import gssapi
except ImportError:
    gssapi = None

REALM = "KRB.TEST"
KDC = shutil.which("krb5kdc") or "/usr/sbin/krb5kdc"
UTIL = shutil.which("kdb5_util") or "/usr/sbin/kdb5_util"
ADMIN = shutil.which("kadmin.local") or "/usr/sbin/kadmin.local"
THERE = gssapi is not None and shutil.which("kinit") and all(map(os.path.exists, (KDC, UTIL, ADMIN)))

CLIENT = """
[libdefaults]
 default_realm = {realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 clockskew = 60
 kdc_timesync = 0
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = {realm}
 .test = {realm}
"""

SERVER = """
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {dir}/db/principal
  key_stash_file = {dir}/db/stash
  max_life = 10h
 }}
[logging]
 kdc = FILE:{dir}/kdc.log
"""


class Realm:
    """Realm(): knows the mail server smtp/localhost; client is what smarthostd needs in its environment."""

    def __init__(self):
        self.dir, self.port, self.proc = work_dir("krb-"), free_port(), None
        self.conf = self.dir / "krb5.conf"
        fill = {"realm": REALM, "port": self.port, "dir": self.dir}
        self.conf.write_text(CLIENT.format(**fill))
        (self.dir / "kdc.conf").write_text(SERVER.format(**fill))
        (self.dir / "db").mkdir(mode=0o700)
        self.client = {"KRB5_CONFIG": str(self.conf)}
        self.env = {**os.environ, **self.client, "KRB5_KDC_PROFILE": str(self.dir / "kdc.conf"), "KRB5RCACHENAME": "none:"}
        self._run(UTIL, "-r", REALM, "-P", "master", "create", "-s")
        self.keytab("smtp/localhost")
        self.start()

    def _run(self, *args, **kw):
        r = subprocess.run(list(map(str, args)), env=kw.pop("env", self.env), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **kw)
        assert r.returncode == 0, f"{args}: {r.stdout}{r.stderr}"
        return r.stdout

    def admin(self, query):
        said = self._run(ADMIN, "-r", REALM, "-q", query)
        assert "while" not in said, said
        return said

    def start(self):
        self.proc = subprocess.Popen([KDC, "-n", "-r", REALM, "-P", str(self.dir / "pid")], env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=open(self.dir / "err", "ab"), stderr=subprocess.STDOUT, start_new_session=True)
        assert until(self._answers, 20), "the KDC does not start:\n" + (self.dir / "err").read_text()

    def _answers(self):
        import socket
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def keytab(self, principal, *options):
        """The file that holds the principal's key, made with it (or with a new key, where it is there already)."""
        file = self.dir / (principal.replace("/", "-") + ".keytab")
        if not file.exists():
            self.admin(f"addprinc {' '.join(options)} -randkey {principal}")
        file.unlink(missing_ok=True)
        self.admin(f"ktadd -k {file} {principal}")
        return file

    def ticket(self, principal, cache, *options):
        """kinit by the principal's key into the cache."""
        self._run("kinit", "-k", "-t", self.keytab(principal), "-c", cache, *options, principal, env={**os.environ, **self.client})

    @property
    def log(self):
        f = pathlib.Path(self.dir / "kdc.log")
        return f.read_text(errors="replace") if f.exists() else ""


class Keeper(Sink):
    """Keeper(keytab, realm): a mail server that takes GSSAPI alone; session.login is the principal.  layers: the octet of
    security layers that it offers; twist(step, octets) changes what it says, step 0 is its side of the context."""

    def __init__(self, keytab, realm, *args, layers=1, twist=None, mechanisms="GSSAPI", **kw):
        self.keytab, self.realm, self.layers, self.twist, self.mechanisms = keytab, realm, layers, twist, mechanisms
        super().__init__(*args, users={}, **kw)

    def _more(self, s):
        out = [x for x in super()._more(s) if not x.startswith("AUTH")]
        return out + (["AUTH " + self.mechanisms] if s.tls or not self.tls else [])

    async def _auth(self, reader, writer, arg):
        mechanism, _, text = arg.partition(" ")
        if mechanism != "GSSAPI":
            return None

        async def ask(octets):
            writer.write(b"334 " + base64.b64encode(octets) + b"\r\n")
            return await reader.line()
        line = text.encode() or await ask(b"")
        os.environ.update(self.realm.client, KRB5RCACHENAME="none:")
        try:
            context = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept", store={"keytab": str(self.keytab)}), usage="accept")
            step = 0
            while not context.complete:
                if line == b"*":
                    return None
                said = context.step(base64.b64decode(line)) or b""
                line = await ask(self.twist(step, said) if self.twist else said)
                step += 1
            if line == b"*":
                return None
            said = context.wrap(bytes([self.layers, 0, 16, 0]), False).message
            line = await ask(self.twist(step, said) if self.twist else said)
            if line == b"*":
                return None
            said = context.unwrap(base64.b64decode(line)).message
            return str(context.initiator_name) if said == b"\1\0\0\0" else None
        except gssapi.exceptions.GSSError:
            return None
