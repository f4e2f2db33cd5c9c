"""HAProxy: as a bare proxy, as a cache, and as what refuses."""

import re

import harness
from place import HTTP2, PLAIN, TLS
from servers.server import Server, fill

PROGRAM = harness.find_program("haproxy")

COMMON = """\
global
    # One thread; more connections than there are.
    nbthread 1
    maxconn 8000
    # For speed: buffers that suit what is carried; streams enough for each connection of the load.
    tune.bufsize @bufsize@
    tune.h2.max-concurrent-streams 256
    # For speed: connections to the upstream are kept for whoever comes next.
    tune.pool-high-fd-ratio 90
    tune.pool-low-fd-ratio 80
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    # For speed: no log, connections kept for ever, answers not held back.
    no log
    option http-keep-alive
    option http-no-delay
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-request 1h
    timeout http-keep-alive 1h
frontend gate
    bind 127.0.0.1:@plain@ backlog 8192
    bind 127.0.0.1:@tls@ backlog 8192 ssl crt @pem@ alpn h2,http/1.1
@frontend@
    default_backend nova
backend nova
@backend@
"""

PASS = "    server nova 127.0.0.1:@nova@ pool-max-conn 512"

# Found before a backend is looked for, so that a hit costs no more than it must.
CACHE_FRONT = "    http-request cache-use lists"
CACHE_BACK = """\
    http-response cache-store lists
    server nova 127.0.0.1:@storable@ pool-max-conn 512
"""
CACHE = """\
cache lists
    total-max-size 16
    max-object-size 4000000
    max-age 36000
"""

# The order of the filters lets the store have what is not compressed; else nothing is stored at all.
GZIP = """\
    filter cache lists
    filter compression
    compression algo gzip
    compression type application/json
    http-request cache-use lists
    http-response cache-store lists
"""

# Without a condition: cheaper than a rule that looks at the query, and so the stronger peer.
REFUSE = '    http-request return status 400 content-type application/json string "@refusal@"'


class HAProxy(Server):
    label, program = "haproxy", PROGRAM
    more = frontend = ""
    backend = PASS
    bufsize = 16384

    def start(self):
        self.hold_ports()
        pem = self.write("server.pem", "")
        values = self.settings(pem=pem, bufsize=self.bufsize, refusal=self.refusal())
        pem.write_text(values["certificate"].read_text() + values["key"].read_text())
        pem.chmod(0o600)
        text = fill(COMMON, frontend=self.frontend, backend=self.backend) + self.more
        self.launch(PROGRAM, "-db", "-f", self.write("haproxy.cfg", fill(text, **values)))

    def refusal(self):
        return re.sub(r'(["\\$])', r"\\\1", self.work.content.decode())


class HAProxyCache(HAProxy):
    frontend, backend, more = CACHE_FRONT, CACHE_BACK, CACHE


class HAProxyGzip(HAProxyCache):
    label = "haproxy, gzip per request"
    frontend, backend = GZIP, PASS.replace("@nova@", "@storable@")


class HAProxyRefusal(HAProxy):
    frontend = REFUSE


class HAProxyDetail(HAProxyCache):
    # For speed: a long answer goes out in few pieces; larger ones cost more again.
    transports = (PLAIN, TLS)
    bufsize = 65536


class HAProxyDetailHTTP2(HAProxyCache):
    """Buffers as they are unless set: over HTTP/2 those of 64 KiB cost two thirds more."""

    transports = (HTTP2,)
