"""Runs tempest's compute tests against the region of a catalog, and reads how each test ended."""

import io
import os
import pathlib
import re
import subprocess

import subunit
import tempest
import testtools

from stack.configuration import write
from stack.names import DOMAIN


def configuration(cloud, region, folder):
    """tempest.conf: what this cloud has, and that it is asked by way of `region`."""
    images = cloud.facts["images"]
    return {
        "DEFAULT": {"log_dir": folder, "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "auth": {
            "use_dynamic_credentials": "true", "create_isolated_networks": "true", "tempest_roles": "member",
            "admin_username": "admin", "admin_password": cloud.password, "admin_project_name": "admin",
            "admin_domain_name": DOMAIN, "default_credentials_domain_name": DOMAIN},
        "identity": {"auth_version": "v3", "uri_v3": cloud.identity_url, "region": region},
        "identity-feature-enabled": {"api_v3": "true"},
        "service_available": {
            "nova": "true", "neutron": "true", "glance": "true", "cinder": "false", "swift": "false",
            "horizon": "false"},
        "enforce_scope": {"nova": "true"},
        "compute": {
            "image_ref": images["bed-cirros"], "image_ref_alt": images["bed-debian"], "flavor_ref": "1",
            "flavor_ref_alt": "2", "build_timeout": 120, "build_interval": 1, "min_microversion": "2.1",
            "max_microversion": "latest", "region": region},
        # The fake driver has no consoles, no second host and nothing inside its servers.
        "compute-feature-enabled": {
            "resize": "true", "interface_attach": "true", "shelve": "true", "console_output": "false",
            "vnc_console": "false", "live_migration": "false", "rescue": "false", "change_password": "false",
            "snapshot": "false", "metadata_service": "false", "attach_encrypted_volume": "false"},
        "validation": {"run_validation": "false"},
        "network": {"project_network_cidr": "10.100.0.0/16", "project_network_mask_bits": "28", "region": region},
        "image": {"region": region, "http_image": ""},
    }


def run(cloud, region, folder, include, exclude, seconds, workers=2):
    """Runs the tests that a line of `include` matches and none of `exclude`; test -> how it ended, and what was said.

    How a test ended: success, fail, skip, xfail. A class that could not be set up is there under its own name.
    """
    folder = pathlib.Path(folder)
    (folder / "lock").mkdir(parents=True)
    write(folder / "tempest.conf", configuration(cloud, region, folder))
    package = pathlib.Path(tempest.__file__).parent
    # Tests of one class share servers, so they stay in one worker.
    write(folder / ".stestr.conf", {"DEFAULT": {
        "test_path": package / "test_discover", "top_dir": package.parent, "group_regex": r"([^\.]*\.)*"}})
    for name, lines in (("include", include), ("exclude", exclude)):
        (folder / name).write_text("\n".join(lines) + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with open(folder / "results", "wb") as results, open(folder / "errors", "wb") as errors:
        done = subprocess.run(
            [cloud.programs / "tempest", "run", "--config-file", folder / "tempest.conf", "--include-list",
             folder / "include", "--exclude-list", folder / "exclude", "--concurrency", str(workers), "--subunit"],
            cwd=folder, stdout=results, stderr=errors, stdin=subprocess.DEVNULL, timeout=seconds,
            env={**kept, "PATH": f"{cloud.programs}:{kept['PATH']}", "HOME": str(folder), "PYTHONWARNINGS": "ignore"})
    found = read_results((folder / "results").read_bytes())
    assert found, f"tempest ran nothing ({done.returncode}): {(folder / 'errors').read_text()[-3000:]}"
    return found


def read_results(stream):
    """test -> (how it ended, its details as text)."""
    found = {}

    def collect(test):
        # Listed, and then not run: it never began.
        if test["status"] == "exists":
            return
        details = "\n".join(
            content.as_text() for content in test["details"].values() if content.content_type.type == "text")
        # The id has tempest's own tags behind the name.
        found[re.sub(r"\[.*\]$", "", test["id"])] = (test["status"], details)

    result = testtools.StreamToDict(collect)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(stream)).run(result)
    result.stopTestRun()
    return found
