"""Envoy: as a bare proxy, as a cache, and as what refuses."""

import pathlib
import sys

import yaml

from servers.server import Server

PROGRAM = str(pathlib.Path(sys.executable).parent / "envoy")
EXTENSION = "type.googleapis.com/envoy.extensions."
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {
    "@type": EXTENSION + "filters.http.router.v3.Router",
    # For speed: no fields of its own.
    "suppress_envoy_headers": True}}
CACHE = {"name": "envoy.filters.http.cache", "typed_config": {
    "@type": EXTENSION + "filters.http.cache.v3.CacheConfig",
    "typed_config": {"@type": EXTENSION + "http.cache.simple_http_cache.v3.SimpleHttpCacheConfig"}}}


class Envoy(Server):
    label, program = "envoy", PROGRAM
    version_arguments = ("--version",)
    filters = (ROUTER,)
    upstream_port = "nova"

    def start(self):
        self.hold_ports()
        path = self.write("envoy.yaml", yaml.safe_dump(self.configuration(), sort_keys=False))
        self.launch(
            # One thread for connections; no shared memory with a successor, and next to no log.
            PROGRAM, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error")

    def route(self):
        return {"route": {"cluster": "nova", "timeout": "0s"}}

    def http_settings(self):
        return {
            "@type": EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "gate", "codec_type": "AUTO",
            # For speed: nothing is made up, counted or logged for a request; connections are kept.
            "generate_request_id": False, "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s", "use_remote_address": False, "skip_xff_append": True,
            "common_http_protocol_options": {"idle_timeout": "3600s"},
            "http2_protocol_options": {"max_concurrent_streams": 256},
            "route_config": {"virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **self.route()}]}]},
            "http_filters": list(self.filters),
        }

    def listener(self, name, port, chain):
        manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": self.http_settings()}
        return {
            "name": name, "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "tcp_backlog_size": 8192, "enable_reuse_port": True,
            "filter_chains": [{"filters": [manager], **chain}]}

    def configuration(self):
        values = self.settings()
        tls = {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": EXTENSION + "transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "tls_certificates": [{
                    "certificate_chain": {"filename": str(values["certificate"])},
                    "private_key": {"filename": str(values["key"])}}]}}}}
        endpoint = {"endpoint": {"address": {"socket_address": {
            "address": "127.0.0.1", "port_value": values[self.upstream_port]}}}}
        limits = {"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}
        return {
            # For speed: no statistics are kept.
            "stats_config": {"stats_matcher": {"reject_all": True}},
            "static_resources": {
                "listeners": [self.listener("plain", self.plain_port, {}), self.listener("tls", self.tls_port, tls)],
                "clusters": [{
                    "name": "nova", "type": "STATIC", "connect_timeout": "5s",
                    "circuit_breakers": {"thresholds": [limits]},
                    "load_assignment": {"cluster_name": "nova", "endpoints": [{"lb_endpoints": [endpoint]}]}}]}}


class EnvoyCache(Envoy):
    filters, upstream_port = (CACHE, ROUTER), "storable"


class EnvoyRefusal(Envoy):
    """Its 400 closes a connection of HTTP/1.1; for speed the answer is made as a 422, and renamed on its way out."""

    def http_settings(self):
        is_422 = {"status_code_filter": {
            "comparison": {"op": "EQ", "value": {"default_value": 422, "runtime_key": "refusal"}}}}
        return {**super().http_settings(), "local_reply_config": {"mappers": [{"filter": is_422, "status_code": 400}]}}

    def route(self):
        return {
            "direct_response": {"status": 422, "body": {"inline_string": self.work.content.decode()}},
            "response_headers_to_add": [{
                "header": {"key": "content-type", "value": "application/json; charset=UTF-8"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}
