#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""vectors.py - reads the rows of tests/vectors without any code of ours and checks them.

Key derivation, MACs, sums, decryption and payload lists are recomputed from the specification with
the standard library alone, so that a mistake in the C core cannot hide in the rows.  Prints TAP.
"""
import hashlib
import hmac
import os
import sys
import urllib.parse

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FOLDER = os.path.join(TOP, "tests", "vectors")


def rows(name):
    """Each row as (word, {key: text})."""
    with open(os.path.join(FOLDER, name), encoding="ascii") as f:
        for line in f:
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            word, *pairs = line.split(" ")
            yield word, {k: urllib.parse.unquote(v) for k, v in (p.split("=", 1) for p in pairs)}


def scenarios(name):
    """Each scenario as (name, {value: bytes, int or text}, [packet])."""
    current = None
    for word, f in rows(name):
        if word == "scenario":
            if current:
                yield current
            current = (f["name"], {}, [])
        elif word == "value":
            current[1][f["name"]] = (bytes.fromhex(f["hex"]) if "hex" in f else
                                     int(f["num"]) if "num" in f else f["text"])
        elif word == "packet":
            current[2].append(f)
    if current:
        yield current


def prf(key, msg):
    return hmac.new(key, msg, hashlib.sha256).digest()


def derive(pub, sec):
    extract = prf(pub, sec)
    t1 = prf(extract, pub + b"\x01")
    t2 = prf(extract, t1 + pub + b"\x02")
    t3 = prf(extract, t2 + pub + b"\x03")
    return extract, t1 + t2 + t3


class Aes:
    """AES-128 decryption from FIPS 197, slow and plain."""
    sbox = None

    @classmethod
    def tables(cls):
        if cls.sbox:
            return
        p = q = 1
        box = [0] * 256
        while True:
            p ^= ((p << 1) ^ (0x11B if p & 0x80 else 0)) & 0x1FF
            p &= 0xFF
            q ^= q << 1
            q ^= q << 2
            q ^= q << 4
            q &= 0xFF
            q ^= 0x09 if q & 0x80 else 0
            rot = lambda n: ((q << n) | (q >> (8 - n))) & 0xFF
            box[p] = q ^ rot(1) ^ rot(2) ^ rot(3) ^ rot(4) ^ 0x63
            if p == 1:
                break
        box[0] = 0x63
        cls.sbox = box
        cls.inv = [0] * 256
        for i, v in enumerate(box):
            cls.inv[v] = i

    def __init__(self, key):
        self.tables()
        w = [list(key[i:i + 4]) for i in range(0, 16, 4)]
        rcon = 1
        for i in range(4, 44):
            t = list(w[i - 1])
            if i % 4 == 0:
                t = [self.sbox[b] for b in t[1:] + t[:1]]
                t[0] ^= rcon
                rcon = (rcon << 1) ^ (0x11B if rcon & 0x80 else 0)
            w.append([a ^ b for a, b in zip(w[i - 4], t)])
        self.keys = [sum(w[4 * r:4 * r + 4], []) for r in range(11)]

    @staticmethod
    def mul(a, b):
        r = 0
        while b:
            if b & 1:
                r ^= a
            a = ((a << 1) ^ (0x11B if a & 0x80 else 0)) & 0xFF
            b >>= 1
        return r

    def decrypt(self, block):
        s = [a ^ b for a, b in zip(block, self.keys[10])]
        for r in range(9, -1, -1):
            s = [self.inv[s[(i - 4 * (i % 4)) % 16]] for i in range(16)]
            s = [a ^ b for a, b in zip(s, self.keys[r])]
            if r:
                out = []
                for c in range(0, 16, 4):
                    col = s[c:c + 4]
                    for k in ((14, 11, 13, 9), (9, 14, 11, 13), (13, 9, 14, 11), (11, 13, 9, 14)):
                        out.append(self.mul(col[0], k[0]) ^ self.mul(col[1], k[1]) ^
                                   self.mul(col[2], k[2]) ^ self.mul(col[3], k[3]))
                s = out
        return bytes(s)

    def cbc(self, iv, text):
        out = b""
        for i in range(0, len(text), 16):
            block = text[i:i + 16]
            out += bytes(a ^ b for a, b in zip(self.decrypt(block), iv))
            iv = block
        return out


def payloads(packet):
    """The payload list as [(type, flags, data, offset)]; None when it is not well formed."""
    off = 16 + (8 if packet[11] & 0x80 else 0) + (2 if packet[11] & 0x40 else 0)
    out = []
    while off < len(packet):
        if len(packet) - off < 4:
            return None
        n = int.from_bytes(packet[off + 2:off + 4], "big")
        if n < 4 or n > len(packet) - off:
            return None
        out.append((packet[off], packet[off + 1], packet[off + 4:off + n], off))
        off += n
    return out


def sealed_plain(packet, key, from_dev):
    """Plaintext of the last payload, or the reason why it does not open."""
    plist = payloads(packet)
    if not plist or plist[-1][0] != 0x36:
        return "no CRYPTO at the end"
    body = plist[-1][2]
    code = int.from_bytes(body[:2], "big")
    if code == 0x000A:
        if sum(packet[:-2]) % 65536 != int.from_bytes(packet[-2:], "big"):
            return "sum wrong"
        text = body[2:-2]
        return text[:len(text) - text[-1]]
    if code != 0x230A:
        return "suite %04x" % code
    aes, mac = (key[16:32], key[64:96]) if from_dev else (key[:16], key[32:64])
    if prf(mac, packet[:-16])[:16] != packet[-16:]:
        return "mac wrong"
    text = body[18:-16]
    if not text or len(text) % 16:
        return "ciphertext length"
    text = Aes(aes).cbc(body[2:18], text)
    pad = text[-1]
    if not 1 <= pad <= 16 or text[-pad:] != bytes([pad]) * pad:
        return "padding wrong"
    return text[:-pad]


KEYS = {"A": "a_key", "C": "c_key", "D": "d_key", "session": "session_key",
        "handshake": "handshake_key"}
# Recorded with a wrong MAC on purpose; the row's plaintext is what the sender meant.
BAD_ON_PURPOSE = {"psk_bad_MAC": "mac wrong"}


def check_kdf():
    n = 0
    for word, f in rows("kdf.txt"):
        h = {k: bytes.fromhex(v) for k, v in f.items() if k not in ("kind", "id")}
        if f["kind"] == "A":
            extract, block = derive(f["id"].encode(), h["psk"])
        else:
            extract, block = derive(h["nonce_server"] + h["nonce_device"],
                                    h["seed_server"] + h["seed_device"])
        assert extract == h["extract"] and block == h["block"], f
        assert block == (h["aes_initiator_to_responder"] + h["aes_responder_to_initiator"] +
                         h["mac_initiator_to_responder"] + h["mac_responder_to_initiator"])
        n += 1
    assert n >= 5
    return n


def check_scenario_keys():
    n = 0
    for name, v, _ in [s for file in ("control.txt", "ext_device.txt", "ext_cookie.txt")
                       for s in scenarios(file)]:
        if "a_key" in v and "psk" in v:
            assert derive(v["id"].encode(), v["psk"])[1] == v["a_key"], name
            n += 1
        if "c_key" in v and "seed_device" in v:
            block = derive(v["nonce_server"] + v["nonce_device"],
                           v["seed_server"] + v["seed_device"])[1]
            assert block == v["c_key"], name
            n += 1
    for name, v, _ in scenarios("data.txt"):
        if "handshake_key" in v and "key_id" not in v:
            assert len(v["handshake_key"]) == 96 and len(v["session_key"]) == 96, name
            n += 1
    assert n > 60
    return n


def check_sums():
    n = 0
    for _, f in rows("legacy_sums.txt"):
        s = int(f["sum"])
        digits = s.to_bytes((s.bit_length() + 7) // 8, "big")
        for who, filler in (("server", 0xAB), ("device", 0xCD)):
            want = (b"\x00" + digits).rjust(12, bytes([filler]))
            assert bytes.fromhex(f[who]) == want, f
        n += 1
    assert n >= 6
    return n


def check_sealed(name, least=100):
    """Every sealed packet whose key the rows hold opens to the plaintext in its row."""
    opened = odd = 0
    for scenario, values, packets in scenarios(name):
        for f in packets:
            if "plain" not in f:
                continue
            raw = bytes.fromhex(f["hex"])
            if payloads(raw) is None:
                continue
            key = (bytes.fromhex(f["keyhex"]) if "keyhex" in f else
                   values.get(KEYS.get(f["key"], ""), None))
            if key is None and f["key"] != "null":
                odd += 1
                continue
            got = sealed_plain(raw, key, f["from"] == "dev")
            if isinstance(got, str) and got == BAD_ON_PURPOSE.get(scenario):
                continue
            assert got == bytes.fromhex(f["plain"]), (scenario, f.get("note"), got)
            opened += 1
    assert opened >= least, opened
    return "%d opened, %d with a key that the rows do not hold" % (opened, odd)


def check_lists(name, least, known):
    """Recorded packets have a right length and a well formed list, the known odd ones apart."""
    good = 0
    odd = {}
    for scenario, _, packets in scenarios(name):
        for f in packets:
            raw = bytes.fromhex(f["hex"])
            if int.from_bytes(raw[14:16], "big") == len(raw) and payloads(raw) is not None:
                good += 1
            else:
                odd.setdefault(scenario, []).append(f.get("note") or f.get("label"))
    odd = {k: len(v) for k, v in odd.items()}
    assert good >= least and odd == known, (good, odd)
    return "%d good, odd: %s" % (good, odd)


def check_rules(name):
    n = 0
    for _, f in rows(name):
        raw = bytes.fromhex(f["bytes"])
        if "key" not in f:
            continue
        key = bytes.fromhex(f["key"])
        plist = payloads(raw)
        length_ok = int.from_bytes(raw[14:16], "big") == len(raw)
        got = sealed_plain(raw, key, bool(raw[11] & 1)) if length_ok and plist else None
        if f["name"] in ("missing_padding",):
            assert got == "padding wrong", (f["name"], got)
        elif f["name"] == "bad_mac":
            assert got == "mac wrong", (f["name"], got)
        elif f["name"].startswith(("payload_", "packet_length")):
            assert not length_ok or plist is None, f["name"]
        else:
            assert isinstance(got, bytes), (f["name"], got)
        n += 1
    assert n >= 3, n
    return n


def check_alive_auth():
    """Keep-alives of extension AUTH_ALIVE: the MAC of each, and counters that rise from 1."""
    last = {"dev": 0, "gsp": 0}
    for _, values, packets in scenarios("ext_device.txt"):
        for f in packets:
            raw = bytes.fromhex(f["hex"])
            if raw[8] != 130:
                continue
            kind, flags, body, _ = payloads(raw)[-1]
            assert (kind, flags, len(body)) == (0x71, 0x80, 12), f
            counter = int.from_bytes(body[:4], "big")
            assert counter == last[f["from"]] + 1, f
            last[f["from"]] = counter
            half = values["c_key"][64:96] if f["from"] == "dev" else values["c_key"][32:64]
            assert prf(prf(half, b"alive"), raw[:-8])[:8] == raw[-8:], f
    assert last == {"dev": 4, "gsp": 3}, last
    return last


def check_pair():
    """The key block of a connection with a pairing secret."""
    for _, v, _ in scenarios("ext_device.txt"):
        number = v["connection_nsi"].to_bytes(4, "big")
        block = derive(b"pair" + number + v["attempt"], v["d_key"] + v["pair_secret"])[1]
        assert block == v["pair_key"]
    return 1


def check_cookie():
    """Cookies, and a challenge made of them alone, as basestation-wire(7) says."""
    ip = bytes(10) + bytes.fromhex("ffff7f000001")
    for _, v, packets in scenarios("ext_cookie.txt"):
        secret, ms = v["server_secret"], v["unix_ms"]
        for name, s in (("cookie", ms // 1000), ("cookie_stale", ms // 1000 - 240)):
            epoch = (s // 120).to_bytes(4, "big")
            assert prf(secret, b"cookie" + epoch + ip + v["id"].encode())[:16] == v[name], name
        invites = [bytes.fromhex(f["hex"]) for f in packets
                   if f["from"] == "dev" and f["hex"][16:18] == "80"]
        seen = [[p[2] for p in payloads(raw) if p[0] == 0x72] for raw in invites]
        assert seen == [[], [], [v["cookie_stale"]], [v["cookie"]]], seen
        assert all(len(raw) == 240 for raw in invites)
        bits = payloads(invites[-1])
        offer = next(p[2][2:6] for p in bits if p[0] == 0x70)
        request, response = [bytes.fromhex(f["hex"]) for f in packets
                             if f["hex"][16:18] == "81"]
        nums = (ms.to_bytes(8, "big") + offer + offer + request[4:8] +
                v["number"].to_bytes(4, "big") + v["port"].to_bytes(2, "big"))
        rest = nums + v["nonce_device"] + ip
        want = nums[4:8] + offer + offer + prf(secret, b"challenge" + rest)[:20]
        assert v["nonce_server"] == want and payloads(request)[1][2] == want
        assert v["seed_server"] == prf(secret, b"seedbytes" + rest)
        back = {p[0]: p[2] for p in payloads(response)}
        assert back[0x31] == b"\x02" + v["id"].encode() and back[0x32] == v["nonce_device"]
    return 1


def check_path():
    """START and EP6 lie before SUITE, the pieces of a segment on their grid, a search is 48 bytes."""
    for _, v, packets in scenarios("ext_path.txt"):
        lists = [payloads(bytes.fromhex(f["hex"])) for f in packets]
        assert [p[0] for p in lists[0]] == [0x35, 0x3F, 0x4B, 0x65, 0x70, 0x7A, 0x62, 0x62, 0x77,
                                            0x36]
        assert all(p[1] == 0x80 for p in lists[0][3:-1])
        again = bytes.fromhex(packets[1]["text"])
        assert len(again) == 48 and int.from_bytes(again[:4], "big") == 16
        off = 0
        for f, plist in zip(packets[2:5], lists[2:5]):
            text = bytes.fromhex(f["text"])
            assert [p[0] for p in plist] == [0x3D, 0x79, 0x36], f
            assert plist[1][2] == off.to_bytes(2, "big") + len(v["segment"]).to_bytes(2, "big")
            assert off % 512 == 0 and v["segment"][off:off + len(text)] == text
            off += len(text)
        assert off == len(v["segment"])
        assert [p[0] for p in lists[5]] == [0x39, 0x62] and not any(lists[5][0][2])
    return 1


def check_ext_sizes():
    """Invites with EXT are padded, and no answer to them is longer."""
    sizes = {}
    for _, _, packets in scenarios("ext_device.txt"):
        for f in packets:
            raw = bytes.fromhex(f["hex"])
            sizes.setdefault((f["from"], raw[8]), len(raw))
    assert sizes["dev", 128] >= 240 > max(sizes["ctrl", 128], sizes["gsp", 129]), sizes
    return sizes["gsp", 129]


def check_aes():
    """FIPS 197, appendix C.1, so that the decryption above is known to be right."""
    key = bytes(range(16))
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert Aes(key).decrypt(bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")) == plain
    return 1


# Wrong lengths that the recorder made; local packets of the older kind, which have another header;
# and the reset of an unknown stream, whose WINDOW claims more than the packet holds.
ODD_CONTROL = {"attach_malformed": 1, "invite_malformed": 1}
ODD_DATA = {"discovery": 2, "legacy_rpc": 2, "legacy_rpc_error": 2, "stream_unknown_rst": 1,
            "stream_refused": 1}

CHECKS = [
    ("aes", check_aes),
    ("kdf rows", check_kdf),
    ("keys of scenarios", check_scenario_keys),
    ("legacy sums", check_sums),
    ("ext_device.txt sealed packets", lambda: check_sealed("ext_device.txt", 7)),
    ("ext_device.txt keep-alives", check_alive_auth),
    ("ext_device.txt pairing key", check_pair),
    ("ext_cookie.txt cookies and challenge", check_cookie),
    ("ext_cookie.txt sealed packets", lambda: check_sealed("ext_cookie.txt", 2)),
    ("ext_cookie.txt payload lists", lambda: check_lists("ext_cookie.txt", 9, {})),
    ("ext_path.txt sealed packet", lambda: check_sealed("ext_path.txt", 1)),
    ("ext_path.txt payload lists", lambda: check_lists("ext_path.txt", 6, {})),
    ("ext_path.txt pieces and search", check_path),
    ("ext_device.txt sizes", check_ext_sizes),
    ("ext_device.txt payload lists", lambda: check_lists("ext_device.txt", 22, {})),
    ("control.txt sealed packets", lambda: check_sealed("control.txt")),
    ("data.txt sealed packets", lambda: check_sealed("data.txt")),
    ("control.txt payload lists", lambda: check_lists("control.txt", 520, ODD_CONTROL)),
    ("data.txt payload lists", lambda: check_lists("data.txt", 213, ODD_DATA)),
    ("control_rules.txt", lambda: check_rules("control_rules.txt")),
    ("data_rules.txt", lambda: check_rules("data_rules.txt")),
]


def main():
    failed = 0
    print("1..%d" % len(CHECKS))
    for i, (name, check) in enumerate(CHECKS, 1):
        try:
            print("ok %d - %s: %s" % (i, name, check()))
        except (AssertionError, KeyError, ValueError) as e:
            failed += 1
            print("not ok %d - %s" % (i, name))
            print("# %r" % (e,))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
