#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fake_router - a router that forwards ports when asked by NAT-PMP or UPnP; it forwards nothing.

usage: fake_router.py natpmp|upnp OWN-ADDRESS PUBLIC-ADDRESS

Prints a line for each mapping that was asked for: proto inside outside life.
"""
import http.server
import re
import socket
import struct
import sys
import threading

IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
WAN = "urn:schemas-upnp-org:service:WANIPConnection:1"
SSDP = ("239.255.255.250", 1900)


def say(*words):
    print(*words, flush=True)


def natpmp(own, public):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((own, 5351))
    say("ready")
    while True:
        p, a = s.recvfrom(64)
        if p[:2] == b"\0\0":
            s.sendto(struct.pack("!BBHI4s", 0, 128, 0, 1, socket.inet_aton(public)), a)
        elif len(p) == 12 and p[:2] == b"\0\1":
            _, inside, outside, life = struct.unpack("!HHHI", p[2:])
            # Another port than the one that was wished for: the answer counts.
            outside = outside + 1000 if life else 0
            say("natpmp", inside, outside, life)
            s.sendto(struct.pack("!BBHIHHI", 0, 129, 0, 1, inside, outside, life), a)


DESCRIPTION = f"""<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>{IGD}</deviceType><friendlyName>fake</friendlyName><UDN>uuid:1</UDN><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><UDN>uuid:2</UDN>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<serviceId>urn:upnp-org:serviceId:WANCommonIFC1</serviceId><SCPDURL>/x.xml</SCPDURL>
<controlURL>/common</controlURL><eventSubURL>/e1</eventSubURL></service></serviceList><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><UDN>uuid:3</UDN>
<serviceList><service><serviceType>{WAN}</serviceType>
<serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId><SCPDURL>/y.xml</SCPDURL>
<controlURL>/control</controlURL><eventSubURL>/e2</eventSubURL></service></serviceList></device>
</deviceList></device></deviceList></device></root>"""


class Handler(http.server.BaseHTTPRequestHandler):
    public = ""

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        self.answer(DESCRIPTION)

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = self.headers["SOAPAction"].strip('"').split("#")[1]

        def arg(name):
            m = re.search(f"<{name}>(.*?)</{name}>", text)
            return m.group(1) if m else ""
        out = ""
        if action == "GetStatusInfo":
            out = "<NewConnectionStatus>Connected</NewConnectionStatus><NewUptime>9</NewUptime>"
        elif action == "GetExternalIPAddress":
            out = f"<NewExternalIPAddress>{self.public}</NewExternalIPAddress>"
        elif action == "AddPortMapping":
            say("upnp", arg("NewInternalPort"), arg("NewExternalPort"), arg("NewLeaseDuration"))
        self.answer('<?xml version="1.0"?><s:Envelope '
                    'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                    f'<u:{action}Response xmlns:u="{WAN}">{out}</u:{action}Response>'
                    '</s:Body></s:Envelope>')


def upnp(own, public):
    Handler.public = public
    web = http.server.ThreadingHTTPServer((own, 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(SSDP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 socket.inet_aton(SSDP[0]) + socket.inet_aton(own))
    say("ready")
    while True:
        p, a = s.recvfrom(2048)
        if p.startswith(b"M-SEARCH"):
            s.sendto((f"HTTP/1.1 200 OK\r\nST: {IGD}\r\nUSN: uuid:1::{IGD}\r\nEXT:\r\n"
                      "CACHE-CONTROL: max-age=120\r\nSERVER: fake UPnP/1.0\r\n"
                      f"LOCATION: http://{own}:{web.server_port}/d.xml\r\n\r\n").encode(), a)


if __name__ == "__main__":
    {"natpmp": natpmp, "upnp": upnp}[sys.argv[1]](*sys.argv[2:])
