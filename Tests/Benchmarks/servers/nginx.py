"""nginx: as a canned upstream, as a bare proxy, as a cache, and as what refuses."""

import os

import harness
from servers.server import Server, fill

PROGRAM = harness.find_program("nginx")

COMMON = """\
daemon off; worker_processes 1; @user@ pid @directory@/nginx.pid; error_log stderr crit; pcre_jit on;
# One worker needs no mutex to accept, and takes all that wait at once.
events { worker_connections 16384; use epoll; multi_accept on; accept_mutex off; }
http {
    # For speed: no log, connections kept for ever, files and their sizes known without asking the kernel.
    access_log off; server_tokens off; default_type application/json;
    keepalive_timeout 1h; keepalive_requests 1000000000; client_header_timeout 1h;
    tcp_nodelay on;
    open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
    client_body_temp_path @directory@/b; proxy_temp_path @directory@/p; fastcgi_temp_path @directory@/f;
    uwsgi_temp_path @directory@/u; scgi_temp_path @directory@/s;
    ssl_certificate @certificate@; ssl_certificate_key @key@; ssl_protocols TLSv1.3;
    ssl_session_cache shared:sessions:10m;
    # For speed: connections to the upstream are kept, more of them than there are requests at once.
    upstream nova { server 127.0.0.1:@nova@; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }
    upstream storable { server 127.0.0.1:@storable@; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }
    proxy_http_version 1.1; proxy_set_header Connection "";
    @http@
    server {
        # For speed: a queue of its own in the kernel.
        listen 127.0.0.1:@plain@ reuseport backlog=8192;
        listen 127.0.0.1:@tls@ ssl http2 reuseport backlog=8192;
        @server@
    }
}
"""

PASS = "location / { proxy_pass http://nova; }"

CACHE = """
    proxy_cache_path @directory@/cache levels=1:2 keys_zone=lists:10m max_size=1g inactive=1h use_temp_path=off;
    proxy_cache lists; proxy_cache_valid 200 1h; proxy_cache_lock on; proxy_cache_key $request_uri;
    # For speed: what is stored is read and written in one piece, long answers too, which costs less than sendfile here.
    sendfile off; output_buffers 1 2m;
"""

# The token is judged once in five minutes by a request of its own, and the answer is stored as the list is.
AUTHORIZED = """
        location / { auth_request /token; proxy_pass http://storable; }
        location = /token {
            internal; proxy_pass http://storable/token; proxy_pass_request_body off;
            proxy_cache tokens; proxy_cache_key $http_x_auth_token; proxy_cache_valid 200 5m;
        }
"""
TOKENS = "proxy_cache_path @directory@/tokens levels=1:2 keys_zone=tokens:10m max_size=1g inactive=1h use_temp_path=off;"

GZIP = """
    # For speed: the level that costs least.
    gzip on; gzip_comp_level 1; gzip_types application/json; gzip_buffers 16 64k;
"""

# What a configuration cannot spell stands in a variable.
DOLLAR = "geo $dollar { default $; }"
REFUSE = "location / { return 400 '@refusal@'; }"


def user():
    return "user root;" if os.geteuid() == 0 else ""


class Nginx(Server):
    """As one worker, with what a subclass sets in `http` and `server`."""

    label, program = "nginx", PROGRAM
    http, server = "", PASS

    def start(self):
        self.hold_ports()
        values = self.settings(user=user(), refusal=self.refusal())
        text = fill(fill(COMMON, http=self.http, server=self.server), **values)
        self.launch(PROGRAM, "-p", self.directory, "-c", self.write("nginx.conf", text))


    def refusal(self):
        return self.work.content.decode().replace("\\", "\\\\").replace("'", "\\'").replace("$", "${dollar}")


class NginxCache(Nginx):
    http, server = CACHE, "location / { proxy_pass http://storable; }"


class NginxToken(NginxCache):
    label = "nginx with token check"
    http, server = CACHE + TOKENS, AUTHORIZED


class NginxGzip(NginxCache):
    label = "nginx, gzip per request"
    http = CACHE + GZIP


class NginxRefusal(Nginx):
    http, server = DOLLAR, REFUSE


UPSTREAM = """\
daemon off; worker_processes 1; @user@ pid @directory@/nginx.pid; error_log stderr crit;
events { worker_connections 16384; use epoll; multi_accept on; accept_mutex off; }
http {
    access_log off; server_tokens off; default_type application/json;
    keepalive_timeout 1h; keepalive_requests 1000000000;
    sendfile on; tcp_nopush on; tcp_nodelay on;
    open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
    client_body_temp_path @directory@/b; proxy_temp_path @directory@/p; fastcgi_temp_path @directory@/f;
    uwsgi_temp_path @directory@/u; scgi_temp_path @directory@/s;
    # As Nova answers.
    server {
        listen 127.0.0.1:@nova@ reuseport backlog=8192;
        add_header OpenStack-API-Version "compute 2.1"; add_header X-OpenStack-Nova-API-Version "2.1";
        add_header Vary "OpenStack-API-Version, X-OpenStack-Nova-API-Version";
        add_header X-Compute-Request-Id req-d28d6e64-b43d-4bef-9bab-90caef69e03e;
        location = /v2.1/servers/@server_id@ { return 200 '@server@'; }
        location = /v2.1/servers { alias @directory@/list.json; }
        location = /v2.1/servers/detail { alias @directory@/detail.json; }
        location = /status { stub_status; }
    }
    # The same for caches, which store what says that it may be stored and has no Vary.
    server {
        listen 127.0.0.1:@storable@ reuseport backlog=8192;
        add_header OpenStack-API-Version "compute 2.1"; add_header X-OpenStack-Nova-API-Version "2.1";
        add_header X-Compute-Request-Id req-d28d6e64-b43d-4bef-9bab-90caef69e03e;
        add_header Cache-Control "max-age=36000";
        location = /v2.1/servers { alias @directory@/list.json; }
        location = /v2.1/servers/detail { alias @directory@/detail.json; }
        location = /token { return 200 '{}'; }
    }
}
"""


class Upstream(harness.Process):
    """One worker beside the load, which answers what it is told to; a second port answers with leave to store."""

    name = "upstream"

    def __init__(self, place, contents):
        super().__init__(place.make("upstream"))
        (self.holder, self.port), (self.storable_holder, self.storable_port) = (harness.reserve_port() for _ in range(2))
        (self.directory / "list.json").write_bytes(contents.list)
        (self.directory / "detail.json").write_bytes(contents.detail)
        assert not {"'", "$", "\\"} & set(contents.server.decode())
        path = self.directory / "nginx.conf"
        path.write_text(fill(
            UPSTREAM, user=user(), directory=self.directory, nova=self.port, storable=self.storable_port,
            server_id=contents.server_id, server=contents.server.decode()))
        self.spawn([*place.on_load_core, PROGRAM, "-p", self.directory, "-c", path])
        harness.wait_until(self.is_ready, 10, lambda: f"the upstream answers: {self.errors()}")

    def is_ready(self):
        self.assert_alive()
        try:
            return self.request_count() > 0
        except OSError:
            return False

    def request_count(self):
        """How many requests it has had, this one among them."""
        _, _, content = harness.ask(self.port, "GET", "/status", token=None)
        return int(content.splitlines()[2].split()[2])

    def end(self):
        self.terminate()
        self.holder.close()
        self.storable_holder.close()
