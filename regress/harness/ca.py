"""A certification authority for one test, and what it has signed; made by openssl(1)."""
import hashlib
import ssl
import subprocess

from harness.daemon import work_dir


class CA:
    """CA(); cert(name) -> (certificate file, key file); ca.file is what peers trust."""

    def __init__(self):
        self.dir = work_dir("ca-")
        self.file, self.key = self.dir / "ca.pem", self.dir / "ca.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
                  "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.key, "-out", self.file)

    def _run(self, *args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    def cert(self, name, *more, days=2, file=None, own=False, rsa=False, passphrase=None):
        """days below 0: it has expired; own: signed by itself; file: what the files are called, when not as the name."""
        base = self.dir / (file or name)
        crt, key, ext = (base.with_name(base.name + end) for end in (".pem", ".key", ".ext"))
        san = ",".join(("IP:" if n.replace(".", "").isdigit() else "DNS:") + n for n in (name, *more))
        ext.write_text(f"subjectAltName={san}\n")
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        lock = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        self._run("req", "-newkey", *kind, *lock, "-subj", f"/CN={name}", "-keyout", key, "-out", crt)
        signer = ["-signkey", key] if own else ["-CA", self.file, "-CAkey", self.key, "-CAcreateserial"]
        self._run("x509", "-req", "-in", crt, *signer, "-days", days, "-extfile", ext, "-out", crt)
        key.chmod(0o600)
        return crt, key

    def server(self, name, *more, **kw):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(*self.cert(name, *more, **kw))
        return ctx

    def client(self):
        return ssl.create_default_context(cafile=str(self.file))

    def spki(self, name):
        """SHA-256 of the public key, in hex."""
        pem = subprocess.run(["openssl", "x509", "-in", self.dir / f"{name}.pem", "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, check=True, capture_output=True).stdout
        return hashlib.sha256(der).hexdigest()

    def fingerprint(self, name):
        r = subprocess.run(["openssl", "x509", "-in", self.dir / f"{name}.pem", "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True)
        return r.stdout.split("=")[1].strip()
