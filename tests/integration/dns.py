# SPDX-License-Identifier: Apache-2.0
"""dns - a name server for the tests: A, AAAA, NXDOMAIN, SERVFAIL and silence, changed at run time.

As a program: dns.py PORT NAME=ADDRESS ... answers on 127.0.0.1 until it is stopped.
"""
import ipaddress
import socket
import struct
import sys
import threading

A, AAAA = 1, 28
NXDOMAIN, SERVFAIL = 3, 2


class Server:
    """Answers UDP queries from a table; records every query."""

    def __init__(self, address="127.0.0.1", port=0):
        self.records = {}   # name -> list of addresses, "servfail" or "silent"
        self.queries = []   # (name, type)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, port))
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def csv(self):
        """The form that c-ares wants."""
        return f"127.0.0.1:{self.port}"

    def _serve(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            answer = self.answer(data)
            if answer:
                self.sock.sendto(answer, peer)

    def answer(self, data):
        """The reply to one query; None for silence."""
        if len(data) < 17:
            return None
        labels, off = [], 12
        while data[off]:
            n = data[off]
            labels.append(data[off + 1:off + 1 + n].decode("ascii", "replace"))
            off += n + 1
        question = data[12:off + 5]
        kind = struct.unpack(">H", data[off + 1:off + 3])[0]
        name = ".".join(labels).lower()
        self.queries.append((name, kind))
        found = self.records.get(name)
        if found == "silent":
            return None
        if found == "servfail":
            return self._header(data, SERVFAIL, 0) + question
        if found is None:
            return self._header(data, NXDOMAIN, 0) + question
        body = b""
        count = 0
        for text in found:
            ip = ipaddress.ip_address(text)
            if (ip.version == 4) == (kind == A) and kind in (A, AAAA):
                body += struct.pack(">HHHIH", 0xC00C, kind, 1, 1, len(ip.packed)) + ip.packed
                count += 1
        return self._header(data, 0, count) + question + body

    @staticmethod
    def _header(data, code, answers):
        return data[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, answers, 0, 0)

    def close(self):
        self.sock.close()


def main():
    server = Server(port=int(sys.argv[1]))
    for pair in sys.argv[2:]:
        name, _, address = pair.partition("=")
        server.records.setdefault(name, []).append(address)
    print(server.port, flush=True)
    server.thread.join()


if __name__ == "__main__":
    main()
