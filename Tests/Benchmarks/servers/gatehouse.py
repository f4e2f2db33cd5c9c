"""Gatehouse with every stage on: tokens judged by Keystone, limits, validation, store, audit trail, access log."""

import os

import harness
from place import CERTIFICATE, HTTP2, KEY, PLAIN, TLS
from servers.server import Server, version_of

SECOND = "127.0.0.2"
# Rates that are never reached; each request is counted in all four.
RATE = {"rate": "1000000/s", "burst": 1_000_000}
RULES = [
    {"name": "all-of-project", "per": "project", **RATE},
    {"name": "reads-of-user", "operations": ["GET"], "per": ["project", "user"], **RATE},
    {"name": "lists-of-user", "operations": ["class:list", "class:detail"], "per": "user", **RATE},
    {"name": "all-of-address", "per": "address", **RATE},
]
HITS = 'gatehouse_cache_verdicts_total{verdict="hit"}'


class Gatehouse(Server):
    label = "gatehouse"

    def start(self):
        self.running = harness.Gatehouse(
            self.directory, f"http://{harness.LOOPBACK}:{self.place.upstream.port}", self.own_settings(),
            prefix=self.place.on_server_core,
            # Connections to the upstream are kept as the peers keep theirs.
            upstream_settings={"idle_timeout": "1h", "max_idle_connections": 512, "max_connections": 512})
        self.child = self.running.child
        self.error_path = self.running.error_path
        plain, tls = (harness.LOOPBACK, self.running.ports[harness.LOOPBACK]), (SECOND, self.running.ports[SECOND])
        self.addresses = {PLAIN: plain, TLS: tls, HTTP2: tls}

    def own_settings(self):
        return {
            "listeners": [
                {"address": f"{harness.LOOPBACK}:0"},
                {"address": f"{SECOND}:0", "tls": {"certificate": str(CERTIFICATE), "private_key": str(KEY)}}],
            "workers": 1,
            "http": {"idle_timeout": "1h"},
            "identity": {"provider": "keystone", "keystone": {
                "url": self.place.keystone_url,
                "credential": {
                    "username": "nova", "password": "secret", "user_domain": "Default", "project": "service",
                    "project_domain": "Default"}}},
            "limits": {"rules": RULES},
            # Lists are stored; what is passed through has no class that would be.
            "cache": {"lists": {"fresh": "1h"}},
            # Two files of the trail at most, since a refusal is an event each.
            "audit": {
                "sinks": [{"file": {"path": str(self.directory / "audit.jsonl")}}], "durability": "written",
                "rotation": {"size": "256MiB", "keep": 1}},
            "access_log": {"path": str(self.access_log)},
        }

    @property
    def access_log(self):
        return self.directory / "access.log"

    def before_round(self):
        # It is opened for appending, so it goes on from the begin.
        os.truncate(self.access_log, 0)
        self.noted = self.running.metrics()
        super().before_round()

    def after_round(self, count):
        """Every stage has seen every answer of the round; ends with an assertion where one has not."""
        values = self.running.metrics()
        super().after_round(count)

        def grown(name):
            return values.get(name, 0) - self.noted.get(name, 0)

        exchanges = sum(
            grown(name) for name in values
            if name.startswith("gatehouse_exchanges_total{") and f'status="{self.work.status}"' in name)
        others = grown("gatehouse_exchanges_total") - exchanges
        # The load ends amid its last requests.
        most = max(self.work.connections, self.work.processes * self.work.streams)
        assert exchanges >= count and others <= most, f"{exchanges} as wanted and {others} others for {count} answers"
        assert grown("gatehouse_audit_lost_total") == 0 and values["gatehouse_audit_events_total"] > 0
        # Lines that come faster than the disk's page cache takes them are dropped; the table says how many were.
        dropped = grown("gatehouse_access_lines_dropped_total")
        lines = self.access_log.stat().st_size
        assert lines > 100 * (exchanges - dropped), f"{lines} bytes of access lines for {exchanges} exchanges"
        hits = grown(HITS)
        assert hits >= count - 1 if self.work.kind == "hit" else hits == 0, f"{hits} hits for {count} answers"
        return {"dropped": dropped}

    def end(self):
        self.running.close()

    @classmethod
    def version(cls):
        return "gatehouse " + version_of(harness.gatehouse_path(), "version").split()[-1]
