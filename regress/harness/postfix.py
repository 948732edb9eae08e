"""A Postfix of the test's own."""
import os
import pathlib
import shutil
import subprocess

import pytest

from harness.client import Client
from harness.daemon import free_port, until, work_dir

SBIN = os.environ.get("PATH", "") + ":/usr/sbin"
NEEDED = [pytest.mark.skipif(os.geteuid() != 0, reason="a private Postfix needs root"),
          pytest.mark.skipif(shutil.which("postfix", path=SBIN) is None, reason="postfix is not installed")]
DAEMONS = ("cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
           "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "smtp unix - - n - - smtp", "relay unix - - n - - smtp",
           "error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard", "local unix - n n - - local",
           "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "proxymap unix - - n - - proxymap",
           "tlsmgr unix - - n 1000? 1 tlsmgr",
           "postlog unix-dgram n - n - 1 postlogd", "pickup unix n - n 60 1 pickup")


class Postfix:
    """An instance with queue, data and configuration of its own, on a high port; services: {name: settings} of further
    ports, which are then in ports[name]."""

    def __init__(self, *settings, accept="", services=None):
        self.dir, self.port = work_dir("postfix-"), free_port()
        self.ports = {name: free_port() for name in services or {}}
        etc = self.dir / "etc"
        etc.mkdir()
        shutil.copy("/etc/postfix/dynamicmaps.cf", etc) if pathlib.Path("/etc/postfix/dynamicmaps.cf").exists() else None
        self.log = self.dir / "log" / "maillog"
        for name, owner in (("queue", None), ("data", "postfix"), ("log", None), ("mail", "nobody")):
            (self.dir / name).mkdir()
            if owner:
                shutil.chown(self.dir / name, owner)
        (etc / "access").write_text(accept)
        (etc / "main.cf").write_text("\n".join([
            "compatibility_level = 3.6", f"queue_directory = {self.dir}/queue", f"data_directory = {self.dir}/data", f"maillog_file = {self.log}",
            f"maillog_file_prefixes = {self.dir}", "myhostname = postfix.test", "mydomain = postfix.test", "mydestination =", "mynetworks = 127.0.0.0/8",
            "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "alias_maps =", "alias_database =", "biff = no", "smtpd_peername_lookup = no",
            "virtual_mailbox_domains = there.test", f"virtual_mailbox_base = {self.dir}/mail", "virtual_mailbox_maps = static:box/",
            "virtual_uid_maps = static:65534", "virtual_gid_maps = static:65534", "virtual_minimum_uid = 100", "message_size_limit = 52428800",
            "virtual_mailbox_limit = 0", f"smtpd_recipient_restrictions = check_recipient_access texthash:{etc}/access, permit_mynetworks, reject",
            "smtpd_client_connection_count_limit = 0", "maximal_backoff_time = 2s", "minimal_backoff_time = 1s", "queue_run_delay = 1s", *settings, ""]))
        more = [f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd" + "".join(f" -o {s}" for s in settings) for name, settings in (services or {}).items()]
        (etc / "master.cf").write_text("\n".join([f"127.0.0.1:{self.port} inet n - n - - smtpd", *more, *DAEMONS, ""]))
        self.command("start")
        assert until(self.answers, 20), self.text()

    def command(self, what):
        r = subprocess.run(["postfix", "-c", self.dir / "etc", what], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": SBIN})
        assert r.returncode == 0, r.stderr + self.text()

    def answers(self):
        try:
            c = Client(self.port)
        except OSError:
            return False
        c.quit()
        return True

    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def box(self):
        new = self.dir / "mail" / "box" / "new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def stop(self):
        try:
            self.command("stop")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)
