"""What is asked, how the answer must look, and who answers."""

import dataclasses

from place import DETAILED, LISTED, REFUSED, TOKENS
from servers import envoy, floor, gatehouse, haproxy, nghttpx, nginx, varnish


@dataclasses.dataclass
class Work:
    """One kind of request, for all transports.

    `kind` is what Gatehouse does with it: `pass`, `hit` or `refusal`.
    """

    name: str
    kind: str
    path: str
    status: int
    content: bytes
    servers: list
    token_count: int = 1
    connections: int = 64
    processes: int = 4
    streams: int = 32
    # Requests of each process of h2load that tell how quick a server is.
    first: int = 500
    coding: str = None
    # Set when it runs, for the floor that sends the same bytes.
    gatehouse: object = None
    lengths: dict = dataclasses.field(default_factory=dict)

    def fields(self, token=TOKENS[0]):
        """The request's field lines, as a client of OpenStack's sends them."""
        found = [("User-Agent", "python-novaclient"), ("Accept", "application/json")]
        if self.coding:
            found.append(("Accept-Encoding", self.coding))
        if token:
            found.append(("X-Auth-Token", token))
        return found

    def request(self, address):
        """The request in HTTP/1.1, as curl has sent it there before."""
        host = "{}:{}".format(*address)
        lines = [f"GET {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in [("Host", host), *self.fields()])]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def length(self, server):
        """How long a content of this server's is."""
        return self.lengths[server.label]


def all_works(contents):
    detail = {"path": f"/v2.1/servers/detail?limit={DETAILED}", "status": 200, "content": contents.detail, "kind": "hit"}
    # Of 1.5 MB answers few are under way at once, or the sockets' buffers are all that is measured.
    few = {"connections": 8, "processes": 4, "streams": 2, "first": 10}
    return [
        Work(
            "pass-through", "pass", f"/v2.1/servers/{contents.server_id}", 200, contents.server,
            [gatehouse.Gatehouse, nginx.Nginx, haproxy.HAProxy, envoy.Envoy, nghttpx.Nghttpx, varnish.Varnish, floor.Relay]),
        Work(
            "cached-list", "hit", f"/v2.1/servers?limit={LISTED}", 200, contents.list,
            [gatehouse.Gatehouse, nginx.NginxCache, nginx.NginxToken, haproxy.HAProxyCache, envoy.EnvoyCache,
             nghttpx.Nghttpx, varnish.VarnishCache, varnish.VarnishLog, floor.Answerer],
            token_count=len(TOKENS), processes=8, streams=16),
        Work(
            "refusal", "refusal", REFUSED, 400, contents.refusal,
            [gatehouse.Gatehouse, nginx.NginxRefusal, haproxy.HAProxyRefusal, envoy.EnvoyRefusal, varnish.VarnishRefusal,
             floor.Answerer]),
        Work(
            "cached-detail", servers=[
                gatehouse.Gatehouse, nginx.NginxCache, haproxy.HAProxyDetail, haproxy.HAProxyDetailHTTP2,
                varnish.VarnishCache, floor.Answerer],
            **detail, **few),
        Work(
            "cached-detail-gzip", servers=[
                gatehouse.Gatehouse, nginx.NginxGzip, haproxy.HAProxyGzip, varnish.VarnishGzip, floor.Answerer],
            coding="gzip", **detail, **few),
    ]


def idle_work(contents):
    """What connections have asked for before they idle."""
    kinds = [
        gatehouse.Gatehouse, nginx.NginxCache, haproxy.HAProxyCache, envoy.EnvoyCache, nghttpx.Nghttpx, varnish.VarnishCache]
    return Work("idle", "hit", f"/v2.1/servers?limit={LISTED}", 200, contents.list, kinds)
