# SPDX-License-Identifier: Apache-2.0
"""bench_relay - rows of the UDP relay, beside a bare forwarder and coturn."""
import os
import subprocess

import bench_common as common
import relay_peers

# Packets a second that are offered to every relay: coturn must be able to carry most of them.
RATE = int(os.environ.get("RELAY_RATE", "40000"))
FLOWS = 64
# Of the devices that bsbench plays itself.
SECRET = "42" + "0" * 30


def pump(pid, ready, port, shape, seconds):
    """Packets that came out of a relay per CPU-second of process pid; ready(g) names the flows."""
    rate, run, size = shape
    g = subprocess.Popen([*common.ON_LOAD_CORE, common.BENCH, "relay",
                          *map(str, (port, FLOWS, rate, run, size, seconds))], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    own = int(g.stdout.readline().split()[1])
    for line in ready(own):
        g.stdin.write(line + "\n")
        g.stdin.flush()
    begin = count = None
    for line in g.stdout:
        if line.startswith("begin"):
            begin = common.cpu_seconds(pid)
        elif line.startswith("end"):
            count, used = int(line.split()[1]), common.cpu_seconds(pid) - begin
    if g.wait() != 0 or count is None:
        raise SystemExit("bench: the generator failed")
    return count, used


def peer_of(name):
    """(process, flows of own) of a peer that is there, or None."""
    if name == "coturn":
        if not common.installed("turnserver"):
            return None
        p, port = relay_peers.start_coturn(common.SERVER_CORE)
        return p, lambda own: relay_peers.coturn(port, FLOWS, own)
    p, port = common.start_bare("forward")
    return p, lambda own: [f"{port} - {port} -"] * FLOWS


def relay_row(seconds, run, name):
    """A relay at a load that all three can carry, shaped alike for each."""
    shape = (RATE, run, 1000)
    n = common.node(FLOWS, rows=[f"bench-{i:07d}.p2p.test,{SECRET}\n" for i in range(FLOWS)])
    count, used = pump(n.process.p.pid, lambda own: relay_peers.basestation(n, FLOWS, own),
                       n.ports["controller_port"], shape, seconds)
    n.stop()
    result = {"value": count / used, "offered_per_s": RATE, "run": run,
              "carried": count / (RATE * seconds), "peers": {name: None}}
    peer = peer_of(name)
    if peer:
        count, used = pump(peer[0].pid, peer[1], 0, shape, seconds)
        common.stop(peer[0])
        result["peers"][name] = count / used
        result["peer_carried"] = count / (RATE * seconds)
    return result


def row_relay_udp(seconds):
    """Relayed packets (1000 bytes, one by one) per server CPU-second, beside a bare forwarder"""
    return relay_row(seconds, 1, "bare forward")


def row_relay_udp_burst(seconds):
    """The same, eight at a time of each flow as a camera sends them"""
    return relay_row(seconds, 8, "bare forward")


def row_relay_coturn(seconds):
    """Relayed packets per server CPU-second, beside coturn with channels"""
    return relay_row(seconds, 1, "coturn")


def row_relay_coturn_burst(seconds):
    """The same, eight at a time of each flow"""
    return relay_row(seconds, 8, "coturn")


ROWS = {"relay-udp": row_relay_udp, "relay-udp-burst": row_relay_udp_burst,
        "relay-coturn": row_relay_coturn, "relay-coturn-burst": row_relay_coturn_burst}
