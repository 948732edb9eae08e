"""SCRAM written a second time (RFC 5802, 7677), so that ours does not only agree with itself."""
import base64
import hashlib
import hmac
import os


def b64(octets):
    return base64.b64encode(octets).decode()


def attributes(text):
    return dict(p.split("=", 1) for p in text.split(",") if "=" in p)


class _Keys:
    def __init__(self, mechanism, password, salt, iterations):
        self.hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[mechanism.replace("-PLUS", "")]
        salted = hashlib.pbkdf2_hmac(self.hash, password.encode(), salt, iterations)
        self.client, self.server = self.mac(salted, "Client Key"), self.mac(salted, "Server Key")
        self.stored = hashlib.new(self.hash, self.client).digest()

    def mac(self, key, text):
        return hmac.new(key, text.encode(), self.hash).digest()

    def proof(self, message):
        return bytes(a ^ b for a, b in zip(self.client, self.mac(self.stored, message)))


def client(mechanism, name, password, flag="n", binding=b"", nonce=None):
    """A generator: yields what to send, is sent what came; returns whether the server proved itself."""
    nonce = nonce or b64(os.urandom(18))
    bare = f"n={name},r={nonce}"
    first = yield f"{flag},,{bare}"
    a = attributes(first)
    keys = _Keys(mechanism, password, base64.b64decode(a["s"]), int(a["i"]))
    final = f"c={b64(f'{flag},,'.encode() + binding)},r={a['r']}"
    message = f"{bare},{first},{final}"
    last = yield final + ",p=" + b64(keys.proof(message))
    return attributes(last).get("v") == b64(keys.mac(keys.server, message))


def server(mechanism, users, bindings=None, salt=b"0123456789abcdef", iterations=4096, twist=None):
    """A generator: is sent what came, yields what to send; returns (name or None, what the client's flag was).
    bindings: {type: octets}; twist(step, text) may change what is sent."""
    twist = twist or (lambda step, text: text)
    text = yield None
    flag, _, bare = text.split(",", 2)
    a = attributes(bare)
    kind = flag[2:] if flag.startswith("p=") else None
    name = a["n"].replace("=2C", ",").replace("=3D", "=")
    keys = _Keys(mechanism, users.get(name, "?"), salt, iterations)
    nonce = a["r"] + b64(os.urandom(12))
    first = f"r={nonce},s={b64(salt)},i={iterations}"
    text = yield twist(1, first)
    final, _, proof = text.rpartition(",p=")
    got, message = attributes(final), f"{bare},{first},{final}"
    want = f"{flag},,".encode() + ((bindings or {}).get(kind, b"?") if kind else b"")
    good = got["c"] == b64(want) and got["r"] == nonce and base64.b64decode(proof) == keys.proof(message) and name in users
    good = good and (kind is not None) == mechanism.endswith("-PLUS") and not (flag == "y" and bindings)
    if not good:
        return None, flag
    yield twist(2, "v=" + b64(keys.mac(keys.server, message)))
    return name, flag
