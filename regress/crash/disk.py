"""A disk that keeps only what was synced, put together again from the log of writelog.c."""
import os
import pathlib
import re
import shutil
import struct

HEAD = struct.Struct("=c3xIQQQQ")


def records(path):
    """(op, thread, inode, offset or size, name, data) in order."""
    raw = memoryview(pathlib.Path(path).read_bytes())
    at = 0
    while at < len(raw):
        op, n1, thread, ino, where, n2 = HEAD.unpack_from(raw, at)
        at += HEAD.size
        yield op.decode(), thread, ino, where, bytes(raw[at:at + n1]).decode(), raw[at + n1:at + n1 + n2]
        at += n1 + n2


class Inode:
    """A file's content on the disk, and what has been written since its last sync."""

    def __init__(self, path):
        self.path, self.pending, self.begun = path, [], {}
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.size = 0

    def __del__(self):
        os.close(self.fd)

    def put(self, at, data):
        if data is None:
            os.ftruncate(self.fd, at)
        else:
            os.pwrite(self.fd, data, at)


class Disk:
    """root stands for `under`; apply() takes the log's records one after the other.

    The disk is strict: a file's content survives from its own fsync or fdatasync on, a name from the fsync of its
    directory on.  Real file systems keep more; with maybe() some of what they may keep is there too.
    blind: kinds of syncs that this disk does not honour ("file", "directory", "database": see kind()), to see that it
    is noticed."""

    def __init__(self, root, under):
        self.root, self.under, self.blind = pathlib.Path(root), str(under), ()
        self.inodes = self.root.with_name(self.root.name + ".inodes")
        for d in (self.root, self.inodes):
            shutil.rmtree(d, ignore_errors=True)
            d.mkdir()
        self.files, self.count = {}, 0
        self.names = {}                 # as the processes saw them
        self.directories = {}           # of each: operations that are not synced
        self.begun = {}
        self.cache = set()              # inodes with something pending

    def _local(self, name):
        return self.root / os.path.relpath(name, self.under)

    def _ignored(self, name):
        return os.path.basename(name) in ("lock", "lock.mdb")

    def _new(self, ino):
        self.count += 1
        self.files[ino] = Inode(self.inodes / str(self.count))
        return self.files[ino]

    def _entry(self, op, name, *more):
        self.directories.setdefault(os.path.dirname(name), []).append((op, name, *more))

    def kind(self, ino, name):
        """What a sync is about: the database, a body's file, the directory of one, or the directories above."""
        if os.path.basename(name) == "data.mdb":
            return "database"
        if re.search(r"/[0-9a-f]{2}$", name):
            return "directory"
        return "file" if "/#" in name or name.endswith("(deleted)") else "tree"

    def apply(self, op, thread, ino, at, name, data):
        if self._ignored(name):
            return
        if op == "T":
            self._new(ino)
        elif op == "O":
            if name not in self.names:
                self.names[name] = self._new(ino)
                self._entry("link", name, self.files[ino])
        elif op in ("W", "t"):
            f = self.files[ino]
            f.pending.append((at, None if op == "t" else data))
            self.cache.add(f)
        elif op == "Y":
            self.files[ino].put(at, data)
        elif op == "L":
            self.names[name] = self.files[ino]
            self._entry("link", name, self.files[ino])
        elif op == "U":
            self.names.pop(name, None)
            self._entry("unlink", name)
        elif op == "R":
            old = bytes(data).decode()
            self.names[name] = self.names.pop(old)
            self._entry("rename", name, self.names[name], old)
        elif op == "M":
            self._entry("mkdir", name)
        elif op in "Ss":
            self._sync(op, thread, ino, name)

    def _sync(self, op, thread, ino, name):
        what = self.kind(ino, name)
        if what in self.blind:
            return
        # what was there when this thread's sync began is on the disk when it ends
        f = self.files[ino] if what in ("database", "file") else None
        pending, begun = (f.pending, f.begun) if f else (self.directories.setdefault(name, []), self.begun.setdefault(name, {}))
        if op == "S":
            begun[thread] = len(pending)
            return
        n = begun.pop(thread)
        for x in pending[:n]:
            f.put(*x) if f else self._name(*x)
        del pending[:n]
        for t in begun:
            begun[t] = max(0, begun[t] - n)
        if f and not pending:
            self.cache.discard(f)

    def _name(self, op, name, inode=None, old=None):
        """An operation on a directory reaches the disk; what undoes it."""
        path = self._local(name)
        undo = []

        def aside(p):
            if p.is_file():
                self.count += 1
                other = self.inodes / f"aside{self.count}"
                p.rename(other)
                undo.append(lambda: other.rename(p))
        if not path.parent.is_dir():
            return undo
        if op == "mkdir":
            if not path.is_dir():
                path.mkdir(0o700)
                undo.append(lambda: shutil.rmtree(path))        # a look has left its lock there
        elif op == "unlink":
            aside(path)
        else:
            if op == "rename":
                aside(self._local(old))
            aside(path)
            os.link(inode.path, path)
            undo.append(path.unlink)
        return undo

    def maybe(self, rng):
        """Lets a part of what was not synced reach the disk, in any choice; what takes it back."""
        undo = []
        share = rng.random()
        for f in sorted(self.cache, key=lambda f: str(f.path)):
            size = os.fstat(f.fd).st_size
            before = []
            for at, data in f.pending:
                if rng.random() >= share:
                    continue
                if data is not None and rng.random() < 0.2:
                    data = data[:len(data) // 1024 * 512]       # torn
                if data is not None:
                    before.append((at, os.pread(f.fd, len(data), at)))
                f.put(at, data)

            def back(f=f, before=before, size=size):
                for at, data in reversed(before):
                    f.put(at, data)
                f.put(size, None)
            undo.append(back)
        for ops in list(self.directories.values()):
            for o in ops:
                if rng.random() < share:
                    undo.extend(self._name(*o))

        def take_back():
            for u in reversed(undo):
                u()
        return take_back
