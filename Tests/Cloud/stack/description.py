"""A running cloud, as the file says that `cloud.py start` writes.

    urls        identity (with /v3), compute, network, image, placement
    region      of the catalog that leads straight to the services
    password    of every user
    programs    folder of the installed programs: openstack, nova, tempest, uwsgi …
    state       folder of databases, configuration and logs
    configuration  folder with keystone/keystone.conf
    projects    name -> id
    users       name -> id
    images, networks, subnets   name -> id
    flavors     ids
    servers     what a seeded server is, such as `A_active` -> id; no two keys need differ
    real        ids of servers that nova-compute has
    building    ids of servers that are but a build request
    processes   name -> [pid, start time], each the leader of a session of its own
    versions    program -> version
"""

import json
import os
import pathlib
import subprocess

from .names import DOMAIN, HOME_PROJECT
from .rest import Rest, issue_token


class Cloud:
    """What tests know of a running cloud."""

    def __init__(self, facts):
        self.facts = facts
        self.identity_url = facts["urls"]["identity"]
        self.compute_url = facts["urls"]["compute"]
        self.region = facts["region"]
        self.password = facts["password"]
        self.programs = pathlib.Path(facts["programs"])
        self.projects = facts["projects"]
        self.users = facts["users"]
        self.servers = facts["servers"]
        self.keystone_configuration = pathlib.Path(facts["configuration"]) / "keystone" / "keystone.conf"
        self._tokens = {}
        self._published = 0

    @classmethod
    def read(cls, path):
        return cls(json.loads(pathlib.Path(path).read_text()))

    # Tokens

    def new_token(self, user, project=None, scope=None):
        """A token that nobody has used."""
        return issue_token(self.identity_url, user, self.password, project, scope)[0]

    def token(self, user, project=None):
        """A token that is shared: not to be revoked."""
        key = (user, project)
        if key not in self._tokens:
            self._tokens[key] = self.new_token(user, project)
        return self._tokens[key]

    def expired_token(self, user, project, hours=1):
        """A token of Keystone's own making that ended some hours ago."""
        done = subprocess.run(
            [self.programs / "python", "-W", "ignore", pathlib.Path(__file__).with_name("old_token.py"),
             self.keystone_configuration, self.users[user], self.projects[project], str(hours)],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.split()[-1]

    # Asking

    def compute(self, user, project=None, url=None, microversion=None):
        """Nova (or the gateway at `url`) as this user sees it, below the project's path."""
        project_id = self.projects[project or HOME_PROJECT[user]]
        return Rest(
            f"{url or self.compute_url}/v2.1/{project_id}", self.token(user, project), microversion)

    def identity(self, user="admin"):
        return Rest(self.identity_url, self.token(user))

    def placeholders(self):
        """What stands in recorded requests in place of ids: the name without braces -> the id here."""
        found = {"A": self.projects["A"], "B": self.projects["B"], "ADMIN": self.projects["admin"],
                 "SERVICE": self.projects["service"]}
        found |= {f"user_{name}": user for name, user in self.users.items()}
        found |= {f"img:{name}": image for name, image in self.facts["images"].items()}
        found |= {f"net:{name}": network for name, network in self.facts["networks"].items()}
        found |= {f"s:{key}": server for key, server in self.servers.items()}
        found |= {f"real:{index}": server for index, server in enumerate(self.facts["real"])}
        found |= {f"br:{index}": server for index, server in enumerate(self.facts["building"])}
        return found

    # The catalog

    def publish(self, compute_url):
        """Adds a region to the catalog whose compute service is `compute_url`; gives its name.

        The other services are in it too, so a client only has to be told the region. Nothing of the first region
        changes: both ways stay open side by side.
        """
        self._published += 1
        region = f"Through-{os.getpid()}-{self._published}"
        identity = self.identity()
        identity.post("/regions", {"region": {"id": region}})
        kinds = {service["id"]: service["type"] for service in identity.get("/services")["services"]}
        for endpoint in identity.get(f"/endpoints?region_id={self.region}")["endpoints"]:
            url = endpoint["url"]
            if kinds[endpoint["service_id"]].startswith("compute"):
                url = compute_url + url.removeprefix(self.compute_url)
            identity.post("/endpoints", {"endpoint": {
                "region_id": region, "service_id": endpoint["service_id"], "interface": endpoint["interface"],
                "url": url}})
        return region

    def withdraw(self, region):
        """Takes a published region out of the catalog."""
        identity = self.identity()
        for endpoint in identity.get(f"/endpoints?region_id={region}")["endpoints"]:
            identity.do("DELETE", f"/endpoints/{endpoint['id']}")
        identity.do("DELETE", f"/regions/{region}")

    # Clients

    def client_environment(self, user, project=None, region=None, home="/nonexistent"):
        """The environment in which `openstack`, `nova` and openstacksdk act as this user."""
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", "NO_PROXY": "*",
            "PYTHONWARNINGS": "ignore", "OS_AUTH_URL": self.identity_url, "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": user, "OS_PASSWORD": self.password, "OS_PROJECT_NAME": project or HOME_PROJECT[user],
            "OS_USER_DOMAIN_NAME": DOMAIN, "OS_PROJECT_DOMAIN_NAME": DOMAIN,
            "OS_REGION_NAME": region or self.region,
        }
