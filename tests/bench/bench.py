#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench - what one server CPU-second buys, each row beside a peer or a bare limit in the same run.

The server is pinned to core 0, the generator to core 1.  CPU seconds are the server's own, user and
system, from /proc; so a busy generator does not distort them.
"""
import argparse
import json
import os
import platform
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import bs  # noqa: E402
import bench_gateway  # noqa: E402
import bench_stream  # noqa: E402
import relay_peers  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
BENCH = bs.program("tests/bench/bsbench")
SECRET = "42" + "0" * 30
# Packets a second that are offered to every relay: coturn must be able to carry most of them.
RELAY_RATE = int(os.environ.get("RELAY_RATE", "40000"))


def cpu_seconds(pid):
    """User and system time of a process and its threads."""
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(task), {core})
        except OSError:
            pass


def generator(*args):
    """Run bsbench; its count and the server CPU between its begin and end lines."""
    return subprocess.Popen(["taskset", "-c", "1", BENCH, *map(str, args)], text=True,
                            stdout=subprocess.PIPE)


def measure(pid, *args):
    """(count, CPU seconds, wall seconds) of one generator run."""
    g = generator(*args)
    begin = count = None
    for line in g.stdout:
        if line.startswith("begin"):
            begin = (cpu_seconds(pid), time.monotonic())
        elif line.startswith("end"):
            count = int(line.split()[1])
            used, wall = cpu_seconds(pid) - begin[0], time.monotonic() - begin[1]
    if g.wait() != 0 or count is None:
        raise SystemExit("bench: the generator failed")
    return count, used, wall


def node(devices, interval):
    """A node with one worker and bench devices, on core 0."""
    n = bs.Node(workers=1, max_devices=devices + 100, listen="127.0.0.1", log_level="warning",
                socket_buffer="8MiB", database_size="1GiB", alive_interval=interval,
                alive_retry="1s", alive_unreachable="20s", alive_timeout="40s",
                attach_rate_unknown="1000000/s", attach_rate_known="1000000/s",
                attach_rate_prefix="1000000/s", attach_rate_id="1000000/s",
                attach_burst_id=1000, pending_entries=65536, pending_per_prefix=65536,
                handshake_rate="1000000/s")
    n.start()
    rows = n.path("devices.csv")
    with open(rows, "w", encoding="ascii") as f:
        f.write("id,secret\n")
        for i in range(devices):
            f.write(f"bench-{i:07d}.p2p.test,{SECRET}\n")
    n.bsctl("device", "import", rows, seconds=300)
    pin(n.process.p.pid, 0)
    return n


def row_keepalive(seconds):
    """Keep-alive round trips per server CPU-second, beside a bare recvmmsg/sendmmsg echo"""
    n = node(20000, "500ms")
    pid = n.process.p.pid
    count, used, wall = measure(pid, "devices", n.ports["controller_port"], 20000, seconds)
    rate = count / wall
    # The echo gets its datagrams in the same bursts, or it would pay more system calls for each.
    burst = max(1, round(n.stat("udp_rx") / max(1, n.stat("udp_rx_batches"))))
    n.stop()
    e = subprocess.Popen(["taskset", "-c", "0", BENCH, "echo"], text=True, stdout=subprocess.PIPE)
    port = e.stdout.readline().strip()
    ecount, eused, _ = measure(e.pid, "pace", port, 20000, int(rate), burst, seconds)
    e.kill()
    e.wait()
    return {"value": count / used, "peer": "bare echo", "peer_value": ecount / eused,
            "offered_per_s": round(rate), "burst": burst}


def row_attach(seconds):
    """Whole attaches (controller and attach server, 5 datagrams) per server CPU-second"""
    n = node(2000, "10s")
    count, used, wall = measure(n.process.p.pid, "attach", n.ports["controller_port"], 2000, seconds)
    n.stop()
    return {"value": count / used, "peer": None, "peer_value": None,
            "offered_per_s": round(count / wall)}


def handshakes(host, port, n, cert, seconds, version, resume, alpn):
    """Mutual handshakes one after the other for a while: their number."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.minimum_version = ctx.maximum_version = version
    ctx.load_verify_locations(n.path("ca/ca.crt"))
    ctx.load_cert_chain(*cert)
    if alpn:
        ctx.set_alpn_protocols(["basestation/1"])
    session, count, end = None, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.create_connection((host, port), 10) as raw:
            with ctx.wrap_socket(raw, server_hostname="localhost", session=session) as s:
                if resume and session is None:
                    if version == ssl.TLSVersion.TLSv1_3:
                        s.settimeout(0.2)
                        try:
                            s.recv(1)  # tickets come after the handshake
                        except (TimeoutError, socket.timeout, ssl.SSLError):
                            pass
                    session = s.session
                elif resume and not s.session_reused:
                    raise SystemExit("bench: the session was not resumed")
                count += 1
    return count


def timed_handshakes(pid, *args):
    before = cpu_seconds(pid)
    count = handshakes(*args)
    return count / (cpu_seconds(pid) - before)


def start_nginx(n):
    """nginx with the same certificates, one worker on core 0: (process, worker pid, port)."""
    if not shutil.which("nginx"):
        return None
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    conf = n.path("nginx.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"""worker_processes 1; daemon off; pid {n.path('nginx.pid')};
error_log {n.path('nginx.log')}; user root;
events {{ worker_connections 512; }}
stream {{ }}
http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl;
ssl_certificate {n.path('server.crt')}; ssl_certificate_key {n.path('server.key')};
ssl_client_certificate {n.path('ca/ca.crt')}; ssl_verify_client on; ssl_crl {n.path('ca/ca.crl')};
ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; return 204; }} }}
""".replace("stream { }\n", ""))
    p = subprocess.Popen(["nginx", "-p", n.dir, "-c", conf], stderr=subprocess.DEVNULL)
    bs.until("nginx", lambda: port_open(port))
    kids = subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True).stdout.split()
    pin(int(kids[0]), 0)
    return p, int(kids[0]), port


def port_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def row_tls(seconds, version, resume):
    os.sched_setaffinity(0, {1})
    n = node(10, "10s")
    cert = n.client("bench@example.test")
    args = (n, cert, seconds, version, resume)
    mine = timed_handshakes(n.process.p.pid, "localhost", n.ports["client_port"], *args, True)
    peer = start_nginx(n)
    theirs = None
    if peer:
        theirs = timed_handshakes(peer[1], "localhost", peer[2], *args, False)
        peer[0].terminate()
        peer[0].wait()
    n.stop()
    return {"value": mine, "peer": "nginx" if peer else None, "peer_value": theirs}


def row_tls12(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.2, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_2, False)


def row_tls13(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.3, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_3, False)


def row_tls12_resumed(seconds):
    """Resumed handshakes, TLS 1.2, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_2, True)


def row_tls13_resumed(seconds):
    """Resumed handshakes, TLS 1.3, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_3, True)


def pump(pid, ready, port, n, shape, seconds):
    """Packets that came out of a relay per CPU-second of process pid; ready(g) names the flows."""
    rate, run, size = shape
    g = subprocess.Popen(["taskset", "-c", "1", BENCH, "relay",
                          *map(str, (port, n, rate, run, size, seconds))], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    own = int(g.stdout.readline().split()[1])
    for line in ready(own):
        g.stdin.write(line + "\n")
        g.stdin.flush()
    begin = count = None
    for line in g.stdout:
        if line.startswith("begin"):
            begin = cpu_seconds(pid)
        elif line.startswith("end"):
            count, used = int(line.split()[1]), cpu_seconds(pid) - begin
    if g.wait() != 0 or count is None:
        raise SystemExit("bench: the generator failed")
    return count, used


def relay_row(seconds, run, peer):
    """A relay at a load that all three can carry, shaped alike for each."""
    flows, shape = 64, (RELAY_RATE, run, 1000)
    n = node(flows, "10s")
    pid = n.process.p.pid
    count, used = pump(pid, lambda own: relay_peers.basestation(n, flows, own),
                       n.ports["controller_port"], flows, shape, seconds)
    n.stop()
    asked = RELAY_RATE * seconds
    mine = {"value": count / used, "offered_per_s": RELAY_RATE, "run": run,
            "carried": count / asked}
    if peer == "coturn" and not shutil.which("turnserver"):
        return {**mine, "peer": None, "peer_value": None}
    if peer == "coturn":
        p, port = relay_peers.start_coturn(0)
        lines = lambda own: relay_peers.coturn(port, flows, own)
    else:
        p = subprocess.Popen(["taskset", "-c", "0", BENCH, "forward"], text=True,
                             stdout=subprocess.PIPE)
        port = p.stdout.readline().strip()
        lines = lambda own: [f"{port} - {port} -"] * flows
    pcount, pused = pump(p.pid, lines, 0, flows, shape, seconds)
    p.kill()
    p.wait()
    return {**mine, "peer": peer, "peer_value": pcount / pused, "peer_carried": pcount / asked}


def row_relay_udp(seconds):
    """Relayed packets (1000 bytes, one by one) per server CPU-second, beside a bare forwarder"""
    return relay_row(seconds, 1, "bare")


def row_relay_udp_burst(seconds):
    """The same, eight at a time of each flow as a camera sends them"""
    return relay_row(seconds, 8, "bare")


def row_relay_coturn(seconds):
    """Relayed packets per server CPU-second, beside coturn with channels"""
    return relay_row(seconds, 1, "coturn")


def row_relay_coturn_burst(seconds):
    """The same, eight at a time of each flow"""
    return relay_row(seconds, 8, "coturn")


ROWS = {"relay-udp": row_relay_udp, "relay-udp-burst": row_relay_udp_burst,
        "relay-coturn": row_relay_coturn, "relay-coturn-burst": row_relay_coturn_burst,
        "keepalive": row_keepalive, "attach": row_attach, "tls12": row_tls12, "tls13": row_tls13,
        "tls12-resumed": row_tls12_resumed, "tls13-resumed": row_tls13_resumed, **bench_gateway.ROWS, **bench_stream.ROWS}


def machine():
    model = "?"
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "openssl": ssl.OPENSSL_VERSION, "path": "loopback"}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="two short runs instead of five")
    p.add_argument("--json", metavar="FILE", help="keep the raw results")
    p.add_argument("row", nargs="*", choices=[*ROWS, []], help="only these rows")
    a = p.parse_args()
    runs, seconds = (2, 2) if a.quick else (5, 5)
    result = {"machine": machine(), "runs": runs, "seconds": seconds, "rows": {}}
    print(", ".join(f"{k} {v}" for k, v in result["machine"].items()))
    print(f"{'per server CPU-second':22} {'median':>10} {'spread':>8}   {'peer':10} {'median':>10}"
          f" {'ratio':>6}")
    for name in a.row or ROWS:
        raw = [ROWS[name](seconds) for _ in range(runs)]
        mine = [r["value"] for r in raw]
        mid = statistics.median(mine)
        line = f"{name:22} {mid:10.0f} {100 * (max(mine) - min(mine)) / mid:7.0f}%"
        if raw[0]["peer"]:
            theirs = statistics.median(r["peer_value"] for r in raw)
            ratio = statistics.median(r["value"] / r["peer_value"] for r in raw)
            line += f"   {raw[0]['peer']:10} {theirs:10.0f} {ratio:6.2f}"
        else:
            line += "   no peer"
        if "crypto_share" in raw[0]:
            share = statistics.median(r["crypto_share"] for r in raw)
            line += f"   MB/s, {100 * share:.0f}% in the cipher"
        print(line, flush=True)
        result["rows"][name] = raw
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)


if __name__ == "__main__":
    main()
