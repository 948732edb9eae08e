"""The crash suite's own programs in C, compiled when they are wanted."""
import os
import pathlib
import re
import subprocess

from harness.daemon import BUILD, SRC

HERE = pathlib.Path(__file__).resolve().parent


def compiled(name, *flags, rooms=(), libs=()):
    """A C file of this directory as a program (or whatever the flags make of it)."""
    flag = dict(re.findall(r"(?m)^(\w+) := ?(.*)$", (BUILD / "config.flags").read_text()))
    out = BUILD / "obj" / "crash" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f"{name}.{os.getpid()}")
    shared = "-shared" in flags
    words = [*flag["CC"].split(), *flag["CFLAGS_BASE"].split(), "-Wall", "-Wextra", f"-I{SRC}/src", str(HERE / (name + ".c")), "-o", str(temporary)]
    words += [] if shared else flag["LDFLAGS"].split()
    words += [str(BUILD / "lib" / (r + ".a")) for r in rooms] + [x for lib in libs for x in flag["LIB_" + lib].split()] + list(flags)
    r = subprocess.run(words, capture_output=True, text=True)
    assert r.returncode == 0, f"{' '.join(words)}\n{r.stderr}"
    temporary.rename(out)
    return out


class Look:
    """What the store's own code sees of a spool (look.c)."""

    def __init__(self, program):
        self.program = program

    def __call__(self, what, spool, **env):
        r = subprocess.run([str(self.program), what, str(spool)], capture_output=True, text=True, timeout=120, env={**os.environ, **env})
        assert r.returncode == 0, f"look {what}: {r.returncode}: {r.stderr}"
        return r.stdout.splitlines()

    def leased(self, spool):
        """{(id, address)} of what is in flight."""
        return {(f[1], f[5]) for f in (line.split(" ", 5) for line in self("leased", spool))}

    def messages(self, spool):
        """ids that are in the queue, whole or not"""
        return [line.split()[1] for line in self("list", spool) if line.split()[0] in ("m", "q", "bad")]


    def verify(self, d):
        """The running daemon's queue is sound, in relayctl's eyes and in ours."""
        r = d.relayctl("queue", "verify")
        assert r.returncode == 0, r.stdout + r.stderr
        assert self("verify", d.spool) == []
