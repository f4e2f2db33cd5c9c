"""Gatehouse in front of the real cloud."""

import json
import pathlib

import harness


def keystone_identity(cloud, url=None, **changes):
    """`identity` of the settings: Keystone at `url`, asked as the service user `nova`."""
    keystone = {
        "url": url or cloud.identity_url,
        "credential": {
            "username": "nova", "password": cloud.password, "user_domain": "Default", "project": "service",
            "project_domain": "Default"},
    }
    return {"provider": "keystone", "keystone": harness.merged(keystone, changes)}


class Gateway(harness.Gatehouse):
    """The program in front of the cloud's Nova: `settings` laid over plain ones, `api` over those of the one API."""

    def __init__(self, directory, cloud, settings=None, api=None, port=0):
        entry = harness.merged(
            {"definition": str(harness.COMPUTE), "upstream": {"endpoints": [cloud.compute_url]}}, api or {})
        settings = harness.merged({"identity": keystone_identity(cloud)}, settings or {})
        super().__init__(directory, cloud.compute_url, {**settings, "apis": [entry]}, port=port)

    def access_lines(self):
        """One mapping per exchange, oldest first, once those that are in flight have ended and are written."""
        path = pathlib.Path(self.settings["access_log"]["path"])
        lines = []

        def are_complete():
            metrics = self.metrics()
            total = metrics.get("gatehouse_exchanges_total", 0)
            lines[:] = path.read_text().splitlines()
            return metrics["gatehouse_exchanges_in_flight"] == 0 and len(lines) == total

        harness.wait_until(are_complete, 60, lambda: f"{len(lines)} access lines are all of {self.metrics()}")
        return [json.loads(line) for line in lines]

    def upstream_connects(self):
        """How many connections to Nova were made, Keystone's not counted."""
        (url,) = self.settings["apis"][0]["upstream"]["endpoints"]
        return self.metrics()[f'gatehouse_upstream_connects_total{{upstream="{url}"}}']

    def close(self):
        try:
            super().close()
        finally:
            # One that did not end well must not stay behind.
            if self.child.poll() is None:
                self.kill()
