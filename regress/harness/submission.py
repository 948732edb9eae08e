"""Dovecot's submission service: a next hop that knows SASL."""
import base64
import os
import shutil

from harness.dovecot import PROGRAM, Server

THERE = os.path.exists(PROGRAM) and os.path.exists("/usr/lib/dovecot/submission")


class Dovecot(Server):
    """Dovecot(relay port, certificate, users, mechanisms): users is {name: password}; plain where there is no
    certificate; ca: clients may show a certificate of it, and EXTERNAL is offered; realm: of Kerberos (harness.kdc),
    for GSSAPI."""

    greeting = b"220"

    def __init__(self, relay, certificate=None, users=None, mechanisms="PLAIN", ca=None, realm=None):
        super().__init__()
        home = self.own_dir("home")
        (self.dir / "users").write_text("".join(f"{u}:{{PLAIN.B64}}{base64.b64encode(p.encode()).decode()}\n" for u, p in (users or {}).items()))
        tls = f"ssl = required\nssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}\n" if certificate else "ssl = no\ndisable_plaintext_auth = no\n"
        external = (f"ssl_ca = <{ca}\nssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\nssl_require_crl = no\n"
                    "passdb {\n driver = static\n args = nopassword\n mechanisms = external\n}\n") if ca else ""
        # it would take tickets of submission/HOST alone, not those of smtp/HOST, which RFC 4954 means
        kerberos = (f"auth_krb5_keytab = {self.dir}/keytab\nauth_gssapi_hostname = \"$ALL\"\n"
                    f"import_environment = KRB5_CONFIG={realm.conf} KRB5RCACHENAME=none:\n") if realm else ""
        if realm:
            shutil.copy(realm.dir / "smtp-localhost.keytab", self.dir / "keytab")
            os.chown(self.dir / "keytab", self.user.pw_uid, -1)
        self.start(f"""
protocols = submission
auth_mechanisms = {mechanisms}
{tls}{external}{kerberos}
passdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
userdb {{
  driver = static
  args = uid={self.user.pw_uid} gid={self.user.pw_gid} home={home}
}}
mail_location = maildir:{home}
hostname = dovecot.test
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {self.port}
  }}
}}
""")
