"""Varnish with hitch before it for TLS and HTTP/2: as a proxy that passes, as a cache, and as what refuses."""

import harness
from place import PLAIN
from servers.server import Server, fill, version_of

PROGRAM, HITCH = (harness.find_program(name) for name in ("varnishd", "hitch"))

COMMON = """\
vcl 4.1;
backend nova { .host = "127.0.0.1"; .port = "@port@"; }
@subroutines@
"""

# The shortest way through: nothing of the built-in rules is run behind these.
PASS = """\
sub vcl_recv { return (pass); }
sub vcl_backend_response { return (deliver); }
sub vcl_deliver { return (deliver); }
"""

CACHE = """\
sub vcl_recv { return (hash); }
sub vcl_hash { hash_data(req.url); return (lookup); }
sub vcl_backend_response { set beresp.ttl = 10h; set beresp.do_gzip = @gzip@; return (deliver); }
sub vcl_deliver { return (deliver); }
"""

REFUSE = '''\
sub vcl_recv { return (synth(400)); }
sub vcl_synth {
    set resp.http.Content-Type = "application/json; charset=UTF-8";
    set resp.body = """@refusal@""";
    return (deliver);
}
'''

# What it would write to its log for each request.
RECORDS = """
    Begin End Link SessOpen SessClose ReqStart ReqMethod ReqURL ReqProtocol ReqHeader ReqUnset ReqAcct RespProtocol
    RespStatus RespReason RespHeader RespUnset BereqMethod BereqURL BereqProtocol BereqHeader BereqUnset BereqAcct
    BerespProtocol BerespStatus BerespReason BerespHeader BerespUnset BackendOpen BackendReuse BackendClose BackendStart Timestamp
    VCL_call VCL_return Hit HitMiss HitPass Length Filters Storage TTL Fetch_Body Proxy Gzip
""".split()
# For speed: one pool with a thread for each request that can be under way, so that none waits for one to be made; no
# records in the log; hits do not move an object to the front of the list of use.
PARAMETERS = {
    "thread_pools": 1, "thread_pool_min": 300, "thread_pool_max": 1000,
    "timeout_idle": 3600, "backend_idle_timeout": 3600, "timeout_linger": 0.05, "lru_interval": 3600,
    "feature": "+http2", "h2_max_concurrent_streams": 256, "listen_depth": 8192,
    "vsl_mask": ",".join("-" + tag for tag in RECORDS),
}

HITCH_COMMON = """\
frontend = { host = "127.0.0.1" port = "@tls@" }
# For speed: a socket of the file system, one worker, nothing logged.
backend = "@directory@/varnish.sock"
write-proxy-v2 = on
pem-file = "@pem@"
tls-protos = TLSv1.3
alpn-protos = "h2,http/1.1"
workers = 1
backlog = 8192
daemon = off
log-level = 0
syslog = off
user = "@user@"
"""


class Hitch(harness.Process):
    name = "hitch"


class Varnish(Server):
    """Both programs; what they use is counted together."""

    label, program = "varnish", PROGRAM
    version_arguments = ("-V",)
    subroutines, port = PASS, "@nova@"
    has_gzip = False
    # As Debian starts it, each request is told in the log that it shares with varnishncsa and others.
    has_log = False

    def start(self):
        self.hold_ports()
        self.hitch = Hitch(self.directory)
        self.place.directory.chmod(0o711)
        pem = self.write("server.pem", "")
        values = self.settings(
            pem=pem, user="_hitch", gzip="true" if self.has_gzip else "false", refusal=self.work.content.decode())
        pem.write_text(values["key"].read_text() + values["certificate"].read_text())
        pem.chmod(0o600)
        text = fill(fill(COMMON, port=self.port, subroutines=self.subroutines), **values)
        # For speed: codings are looked at only where they are stored.
        parameters = {**PARAMETERS, "http_gzip_support": "on" if self.has_gzip else "off"}
        if self.has_log:
            del parameters["vsl_mask"]
        self.launch(
            PROGRAM, "-F", "-j", "none", "-n", self.directory / "state", "-f", self.write("gate.vcl", text),
            "-a", f"plain=127.0.0.1:{self.plain_port},HTTP", "-a", f"tls={self.directory}/varnish.sock,PROXY,mode=666",
            "-s", "default,512m", *[part for name, value in parameters.items() for part in ("-p", f"{name}={value}")])
        harness.wait_until(lambda: self.answers(PLAIN), 30, lambda: f"varnish answers: {self.errors()[-3000:]}")
        self.hitch.spawn([
            *self.place.on_server_core, HITCH, f"--config={self.write('hitch.conf', fill(HITCH_COMMON, **values))}"])

    def errors(self):
        return super().errors() + (self.hitch.errors() if self.hitch.child else "")

    def processes(self):
        return [self, self.hitch]

    @classmethod
    def version(cls):
        return f"{super().version()} and {version_of(HITCH, '--version')}"


class VarnishCache(Varnish):
    subroutines, port = CACHE, "@storable@"


class VarnishLog(VarnishCache):
    label, has_log = "varnish with its log", True


class VarnishGzip(VarnishCache):
    label, has_gzip = "varnish, gzip stored", True


class VarnishRefusal(Varnish):
    subroutines = REFUSE
