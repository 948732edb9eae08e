"""A scriptable name server on threads of its own, UDP and TCP, signed where it is told so."""
import socket
import socketserver
import threading
import time

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

IN = dns.rdataclass.IN


def _name(text):
    return dns.name.from_text(text if text.endswith(".") else text + ".").canonicalize()


class Names:
    """n = Names(); n.add("x.test", "MX", "10 mail.x.test."); n.rule("y.test", "servfail").

    Rules: servfail, refused, nxdomain, nodata, timeout, truncate (the answer comes by TCP only), bogus (a wrong signature); with a type for
    this type alone; None takes the rule away.  A name with a leading dot means all names below it.  sign(zone) signs a zone, with compact
    denial of existence; anchors() is what a file of trust anchors holds.  asked(name, type) counts questions.  Names that are not there
    do not exist; CNAMEs are followed."""

    def __init__(self, host="127.0.0.1", port=0):
        self.records, self.rules, self.keys, self.signatures = {}, {}, {}, {}
        self.questions = []
        self.lock = threading.RLock()
        names = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                reply = names._answer(self.request[0], False)
                if reply is not None:
                    self.request[1].sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                stream = self.request.makefile("rb")
                while True:
                    head = stream.read(2)
                    if len(head) < 2:
                        return
                    reply = names._answer(stream.read(int.from_bytes(head, "big")), True)
                    if reply is not None:
                        self.request.sendall(len(reply).to_bytes(2, "big") + reply)

        class UdpServer(socketserver.ThreadingUDPServer):
            daemon_threads = True
            max_packet_size = 4096
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads = True
            address_family = UdpServer.address_family

        while True:
            self.udp = UdpServer((host, port), Udp)
            self.port = self.udp.server_address[1]
            try:
                self.tcp = TcpServer((host, self.port), Tcp)
                break
            except OSError:
                self.udp.server_close()
                if port:
                    raise
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def stop(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    # what it knows
    def add(self, name, kind, *data, ttl=1):
        """data: zone-file text; TXT: the text, cut into strings of 255 octets here, or bytes, or a list of strings."""
        kind = dns.rdatatype.from_text(kind)
        with self.lock:
            have = self.records.setdefault((_name(name), kind), (ttl, []))[1]
            for d in data:
                if kind == dns.rdatatype.TXT:
                    if not isinstance(d, list):
                        d = d if isinstance(d, bytes) else d.encode("latin-1")
                        d = [d[i:i + 255] for i in range(0, len(d), 255)] or [b""]
                    d = [s if isinstance(s, bytes) else s.encode("latin-1") for s in d]
                    have.append(dns.rdata.get_rdata_class(IN, kind)(IN, kind, d))
                else:
                    have.append(dns.rdata.from_text(IN, kind, d))
            self.signatures.clear()
        return self

    def drop(self, name, kind=None):
        with self.lock:
            for key in [k for k in self.records if k[0] == _name(name) and (kind is None or k[1] == dns.rdatatype.from_text(kind))]:
                del self.records[key]
            self.signatures.clear()
        return self

    def set(self, name, kind, *data, ttl=1):
        with self.lock:
            return self.drop(name, kind).add(name, kind, *data, ttl=ttl)

    def host(self, name, *addresses):
        """A and AAAA records, and the PTR records that lead back."""
        for a in addresses:
            self.add(name, "AAAA" if ":" in a else "A", a)
            self.add(dns.reversename.from_address(a).to_text(), "PTR", name + ".")
        return self

    def rule(self, name, what, kind=None):
        key = (name.lower().rstrip("."), dns.rdatatype.from_text(kind) if kind else None)
        with self.lock:
            self.rules.pop(key, None) if what is None else self.rules.__setitem__(key, what)
        return self

    def asked(self, name=None, kind=None):
        return len([q for q in list(self.questions) if (name is None or q[0] == name.lower().rstrip(".")) and (kind is None or q[1] == kind)])

    # signatures
    def sign(self, zone):
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
        z = _name(zone)
        public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
        with self.lock:
            self.keys[z] = (key, public)
            self.records[(z, dns.rdatatype.DNSKEY)] = (60, [public])
        return self

    def anchors(self):
        return "".join(f"{z} IN DNSKEY {public.to_text()}\n" for z, (_, public) in self.keys.items())

    def _zone(self, name):
        zones = [z for z in self.keys if name.is_subdomain(z)]
        return max(zones, key=len) if zones else None

    def _signature(self, rrset, wrong):
        zone = self._zone(rrset.name)
        tag = (rrset.name, rrset.rdtype, wrong)
        if tag not in self.signatures:
            key, public = self.keys[zone]
            now = time.time()
            s = dns.dnssec.sign((rrset.name, rrset), key, zone, public, inception=now - 3600, expiration=now + 86400)
            if wrong:
                s = s.replace(signature=bytes([s.signature[0] ^ 255]) + s.signature[1:])
            self.signatures[tag] = s
        return dns.rrset.from_rdata(rrset.name, rrset.ttl, self.signatures[tag])

    # answering
    def _rule(self, name, kind):
        text = name.to_text().lower().rstrip(".")
        labels = text.split(".")
        for key in [text] + ["." + ".".join(labels[i:]) for i in range(1, len(labels))]:
            for k in (kind, None):
                if (key, k) in self.rules:
                    return self.rules[(key, k)]
        return None

    def _put(self, section, rrset, rule, wants_dnssec):
        section.append(rrset)
        if wants_dnssec and self._zone(rrset.name) is not None:
            section.append(self._signature(rrset, rule == "bogus"))

    def _deny(self, reply, name, rule, wants_dnssec):
        zone = self._zone(name)
        if zone is None:
            return
        self._put(reply.authority, dns.rrset.from_text(zone, 1, IN, "SOA", f"ns.{zone} h.{zone} 1 60 60 60 1"), rule, wants_dnssec)
        if wants_dnssec:
            kinds = {k[1] for k in self.records if k[0] == name} | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC}
            after = dns.name.Name((b"\0",) + name.labels)
            self._put(reply.authority, dns.rrset.from_text(name, 1, IN, "NSEC", f"{after} {' '.join(dns.rdatatype.to_text(k) for k in sorted(kinds))}"),
                      rule, True)

    def _fill(self, reply, name, kind, rule, wants_dnssec):
        for _ in range(8):
            key = (name, kind)
            if key not in self.records and (name, dns.rdatatype.CNAME) in self.records:
                key = (name, dns.rdatatype.CNAME)
            if key not in self.records or rule in ("nxdomain", "nodata"):
                break
            ttl, data = self.records[key]
            self._put(reply.answer, dns.rrset.from_rdata_list(name, ttl, data), rule, wants_dnssec)
            if key[1] == kind:
                return
            name = data[0].target.canonicalize()
        there = any(k[0] == name or k[0].is_subdomain(name) for k in self.records)
        if rule == "nxdomain" or (not there and rule != "nodata" and self._zone(name) is None):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self._deny(reply, name, rule, wants_dnssec)

    def _answer(self, wire, tcp):
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except Exception:
            return None
        with self.lock:
            name = question.name.canonicalize()
            rule = self._rule(name, question.rdtype)
            self.questions.append((name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype), "tcp" if tcp else "udp"))
            if rule == "timeout":
                return None
            reply = dns.message.make_response(query, recursion_available=True)
            reply.flags |= dns.flags.AA
            if rule in ("servfail", "refused"):
                reply.set_rcode(dns.rcode.from_text(rule))
                return reply.to_wire()
            if rule == "truncate" and not tcp:
                reply.flags |= dns.flags.TC
                return reply.to_wire()
            self._fill(reply, name, question.rdtype, rule, query.ednsflags & dns.flags.DO)
        try:
            return reply.to_wire(max_size=65535 if tcp else max(query.payload, 512))
        except dns.exception.TooBig:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()
