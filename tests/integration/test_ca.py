#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bsctl ca: what it makes is examined with the openssl program, and its folder after every fault."""
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time

import bs
from bs import check, equal, test

OK, FAILED, USAGE, UNREACHABLE, REFUSED, NOT_FOUND, EXISTS, BAD_INPUT = range(8)
BSCTL = bs.program("bsctl")


class Ca:
    """An authority in a folder of its own."""

    def __init__(self, *args):
        self.top = tempfile.mkdtemp(prefix="bs-")
        self.dir = os.path.join(self.top, "ca")
        self("init", *args)

    def __enter__(self):
        return self

    def __exit__(self, *a):
        shutil.rmtree(self.top)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def __call__(self, *args, want=OK):
        bits = ["--bits", "2048"] if args[0] in ("init", "issue") and "--bits" not in args else []
        r = bs.run([BSCTL, "ca", *args, "--dir", self.dir, "--json", *bits], ok=False, seconds=60)
        equal(r.returncode, want, f"ca {' '.join(args)}: {r.stdout}{r.stderr}")
        if want != OK:
            return json.loads(r.stderr.splitlines()[-1])["error"]
        return [json.loads(x) for x in r.stdout.splitlines()]

    def verify(self, cert, *more):
        r = bs.run(["openssl", "verify", "-x509_strict", "-CAfile", self.path("ca.crt"), *more,
                    cert], ok=False)
        return r.returncode == 0, r.stdout + r.stderr


def text(cert, kind="x509"):
    return bs.run(["openssl", kind, "-in", cert, "-noout", "-text"]).stdout


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@test
def root():
    """the CA certificate, its key's mode, its CRL"""
    with Ca("--name", "Example devices", "--days", "100") as ca:
        equal(mode(ca.path("ca.key")), 0o600, "mode of the key")
        t = text(ca.path("ca.crt"))
        for want in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "CN = Example devices",
                     "Basic Constraints: critical", "Key Usage: critical"):
            check(want in t, f"{want}\n{t}")
        check(ca.verify(ca.path("ca.crt"))[0], "does not verify")
        r = bs.run(["openssl", "crl", "-in", ca.path("ca.crl"), "-noout", "-CAfile",
                    ca.path("ca.crt")], ok=False)
        check("verify OK" in r.stderr, r.stderr)
        check("already" in ca("init", want=EXISTS)["reason"], "second init")
        ca("init", "--dry-run", want=EXISTS)


@test
def client():
    """a client certificate: identity, usage, key"""
    with Ca() as ca:
        got = ca("issue", "client", "Dave@Example.com")[0]
        equal(mode(got["key"]), 0o600, "mode of the key")
        ok, why = ca.verify(got["certificate"], "-purpose", "sslclient", "-crl_check", "-CRLfile",
                            ca.path("ca.crl"))
        check(ok, why)
        check(not ca.verify(got["certificate"], "-purpose", "sslserver")[0], "is good for a server")
        t = text(got["certificate"])
        check("email:dave@example.com" in t and "CN = dave@example.com" in t, t)
        check(re.search(r"Serial Number:\s+([0-9a-f]{2}:){15}", t), "16 bytes of serial")
        # A name that is no mail address is the common name alone.
        t = text(ca("issue", "client", "pump-service")[0]["certificate"])
        check("email:" not in t and "CN = pump-service" in t, t)
        # Text that means something to openssl means nothing here.
        got = ca("issue", "client", "a@b,DNS:evil.example")[0]
        check("DNS:evil" not in text(got["certificate"]).replace("email:a@b,DNS:evil.example", ""),
              "an identity made a second name")
        ca("issue", "client", "dave@example.com", want=EXISTS)
        ca("issue", "client", "two words", want=USAGE)
        ca("issue", "client", "x", "--bits", "1024", want=BAD_INPUT)
        ca("issue", "client", "x", "--days", "99999", want=BAD_INPUT)
        equal([x["name"] for x in ca("list") if "name" in x],
              ["dave@example.com", "pump-service", "a@b,dns:evil.example"], "list")


@test
def server():
    """a server certificate: names, addresses, usage"""
    with Ca() as ca:
        out = os.path.join(ca.top, "srv")
        got = ca("issue", "server", "a.example.com", "*.b.example.com", "192.0.2.7", "2001:db8::7",
                 "--out", out)[0]
        ok, why = ca.verify(got["certificate"], "-purpose", "sslserver", "-verify_hostname",
                            "x.b.example.com")
        check(ok, why)
        for ip in ("192.0.2.7", "2001:db8::7"):
            check(ca.verify(got["certificate"], "-verify_ip", ip)[0], ip)
        check(not ca.verify(got["certificate"], "-verify_hostname", "c.example.com")[0], "any host")
        ca("issue", "server", "a/b", "--out", out + "2", want=BAD_INPUT)
        ca("issue", "server", "a b", "--out", out + "2", want=BAD_INPUT)
        ca("issue", "server", "x", "--out", "/nowhere/x", want=NOT_FOUND)
        equal(sorted(os.listdir(ca.top)), ["ca", "srv.crt", "srv.key"], "left behind")


@test
def request():
    """a certificate request brings its key, and nothing else of it counts"""
    with Ca() as ca:
        key, csr = os.path.join(ca.top, "k"), os.path.join(ca.top, "r")
        bs.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj",
                "/CN=somebody else", "-out", csr])
        out = os.path.join(ca.top, "c")
        got = ca("issue", "client", "eve@example.com", "--csr", csr, "--out", out)[0]
        check("key" not in got and not os.path.exists(out + ".key"), "a key was made")
        t = text(got["certificate"])
        check("CN = eve@example.com" in t and "somebody else" not in t.split("Issuer", 1)[1], t)
        pub = [bs.run(["openssl", a, "-in", f, "-pubkey", "-noout"]).stdout
               for a, f in (("x509", got["certificate"]), ("req", csr))]
        equal(pub[0], pub[1], "key")
        bs.run(["openssl", "req", "-newkey", "rsa:1024", "-nodes", "-keyout", key, "-subj", "/CN=x",
                "-out", csr])
        ca("issue", "client", "weak", "--csr", csr, want=BAD_INPUT)
        with open(csr, "w") as f:
            f.write("not a request")
        check("PEM" in ca("issue", "client", "none", "--csr", csr, want=BAD_INPUT)["reason"], "text")
        ca("issue", "client", "none", "--csr", "/nowhere", want=NOT_FOUND)


@test
def revocation():
    """revoked by serial and by name, in the CRL with its reason, and repeatable"""
    with Ca() as ca:
        a = ca("issue", "client", "a@example.com")[0]
        b = ca("issue", "client", "b@example.com")[0]
        b2 = ca("issue", "client", "b@example.com", "--out", os.path.join(ca.top, "b2"))[0]
        ca("revoke", a["serial"], "--no-server", "--reason", "key-compromise", "--dry-run")
        check("No Revoked" in text(ca.path("ca.crl"), "crl"), "a dry run revoked")
        ca("revoke", a["serial"].upper(), "--no-server", "--reason", "key-compromise")
        equal(ca("revoke", "B@example.com", "--no-server")[0]["revoked"], 2, "by name")
        t = text(ca.path("ca.crl"), "crl")
        for x in (a, b, b2):
            check(x["serial"].upper() in t, f"{x['serial']} in {t}")
            check(not ca.verify(x["certificate"], "-crl_check", "-CRLfile", ca.path("ca.crl"))[0],
                  "still good")
        check("Key Compromise" in t, t)
        ca("revoke", a["serial"], "--no-server")
        equal({x["state"] for x in ca("list") if "serial" in x}, {"revoked"}, "list")
        ca("revoke", "nobody", "--no-server", want=NOT_FOUND)
        # Without a server the CRL is done, and the status says what is not.
        e = ca("revoke", a["serial"], "--socket", "/nowhere/control", want=UNREACHABLE)
        check("CRL is up to date" in e["remedy"], e)


@test
def crl():
    """the CRL is signed anew when it is due"""
    with Ca() as ca:
        equal(ca("crl", "--if-due")[0]["signed"], False, "fresh")
        equal(ca("crl", "--crl-days", "1")[0]["signed"], True, "asked")
        os.unlink(ca.path("ca.crl"))
        equal(ca("list")[-1]["crl_due"], True, "missing")
        equal(ca("crl", "--if-due")[0]["signed"], True, "missing")
        with open(ca.path("ca.crl"), "w") as f:
            f.write("junk")
        equal(ca("crl", "--if-due")[0]["signed"], True, "junk")
        ca("crl", "--crl-days", "0", want=BAD_INPUT)


@test
def faults():
    """keys that others read, wrong keys, an expired CA, a torn or damaged index"""
    with Ca("--days", "10") as ca, Ca() as other:
        ca("issue", "client", "one")
        os.chmod(ca.path("ca.key"), 0o644)
        check("chmod 600" in ca("issue", "client", "two", want=REFUSED)["remedy"], "mode")
        os.chmod(ca.path("ca.key"), 0o600)
        good = open(ca.path("ca.key")).read()
        shutil.copy(other.path("ca.key"), ca.path("ca.key"))
        check("not the key" in ca("issue", "client", "two", want=BAD_INPUT)["reason"], "wrong key")
        with open(ca.path("ca.key"), "w") as f:
            f.write("junk")
        ca("issue", "client", "two", want=BAD_INPUT)
        with open(ca.path("ca.key"), "w") as f:
            f.write(good)
        # The certificate cannot outlive its CA unless nobody asked for it to.
        check("days" in ca("issue", "client", "two", "--days", "11", want=BAD_INPUT)["reason"], "days")
        got = ca("issue", "client", "two")[0]
        check(got["not_after"] < time.time() + 10 * 86400, "outlives its CA")
        # A crash while the last line was written.
        with open(ca.path("index"), "a") as f:
            f.write('{"op":"issue","ser')
        equal(len([x for x in ca("list") if "serial" in x]), 2, "torn line")
        ca("issue", "client", "three")
        equal(len([x for x in ca("list") if "serial" in x]), 3, "after the torn line")
        lines = open(ca.path("index")).read().splitlines()
        with open(ca.path("index"), "w") as f:
            f.write("\n".join([lines[0], "junk", *lines[1:]]) + "\n")
        e = ca("issue", "client", "four", want=FAILED)
        check(e["place"].endswith("index:2"), e)
    with Ca("--days", "1") as ca:
        if shutil.which("faketime"):
            r = bs.run(["faketime", "+3 days", BSCTL, "ca", "issue", "client", "x", "--dir", ca.dir],
                       ok=False)
            check("expired" in r.stderr, r.stderr)
    r = bs.run([BSCTL, "ca", "list", "--dir", "/nowhere"], ok=False)
    equal(r.returncode, NOT_FOUND, r.stderr)
    check("ca init" in r.stderr, r.stderr)


@test
def told():
    """ca revoke tells a running server; ca trust and distrust keep CAs in its registry"""
    n = bs.Node().start()
    n.client("frank@example.com")
    n.ca("revoke", "frank@example.com")
    got = n.ask("client", "revoked")
    equal([x["kind"] for x in got], ["certificate"], "revoked")
    with Ca("--name", "Second") as ca:
        n.bsctl("ca", "trust", ca.path("ca.crt"))
        t = n.ask("ca", "trusted")[0]
        equal(t["name"], "Second", "name")
        want = bs.run(["openssl", "x509", "-in", ca.path("ca.crt"), "-noout", "-fingerprint",
                       "-sha256"]).stdout.split("=")[1].strip().replace(":", "").lower()
        equal(t["ca_fp"], want, "fingerprint")
        leaf = ca("issue", "client", "leaf")[0]["certificate"]
        equal(n.bsctl("ca", "trust", leaf, ok=False).returncode, BAD_INPUT, "a leaf is no CA")
        n.bsctl("ca", "distrust", want)
        equal(n.bsctl("ca", "distrust", want, ok=False).returncode, NOT_FOUND, "again")
    n.stop()


if __name__ == "__main__":
    bs.main()
