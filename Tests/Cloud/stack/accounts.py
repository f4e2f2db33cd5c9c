"""Projects, people, service users, and the catalog. What is there already is left alone."""

from .names import DOMAIN, PROJECTS, REGION, ROLES, SERVICE_USERS
from .rest import Rest, issue_token

INTERFACES = ("public", "internal", "admin")


def catalog(place):
    """type -> (name, address); Keystone has put itself in."""
    nova = place.url("nova")
    return {
        "compute": ("nova", f"{nova}/v2.1/$(project_id)s"),
        "compute_legacy": ("nova_legacy", f"{nova}/v2/$(project_id)s"),
        "network": ("neutron", place.url("neutron")),
        "image": ("glance", place.url("glance")),
        "placement": ("placement", place.url("placement")),
    }


class Accounts:
    """What Keystone has, by name."""

    def __init__(self, place):
        self.place = place
        token, _ = issue_token(place.identity_url, "admin", place.password)
        self.identity = Rest(place.identity_url, token)

    def ids(self, kind):
        """name -> id of all there is."""
        return {each["name"]: each["id"] for each in self.identity.get(f"/{kind}s")[f"{kind}s"]}

    def complete(self, kind, wanted):
        """Makes those of `wanted` (name -> content) that are missing; gives name -> id of all."""
        found = self.ids(kind)
        for name, content in wanted.items():
            if name not in found:
                found[name] = self.identity.post(f"/{kind}s", {kind: {"name": name, **content}})[kind]["id"]
        return found

    def make_people(self):
        domain = self.ids("domain")[DOMAIN]
        projects = self.complete("project", {name: {"domain_id": domain} for name in PROJECTS})
        roles = self.complete("role", {name: {} for name in ("admin", "member", "reader", "service", "manager")})
        grants = {**ROLES, **{name: {"service": ["service", "admin"]} for name in SERVICE_USERS}}
        users = self.complete("user", {
            name: {"domain_id": domain, "password": self.place.password, "default_project_id": projects[next(iter(of))]}
            for name, of in grants.items()})
        for name, of in grants.items():
            for project, names in of.items():
                for role in names:
                    self.identity.do("PUT", f"/projects/{projects[project]}/users/{users[name]}/roles/{roles[role]}")
        self.identity.do("PUT", f"/system/users/{users['admin']}/roles/{roles['admin']}")

    def make_catalog(self):
        wanted = catalog(self.place)
        services = {each["type"]: each["id"] for each in self.identity.get("/services")["services"]}
        taken = {
            (each["service_id"], each["interface"])
            for each in self.identity.get(f"/endpoints?region_id={REGION}")["endpoints"]}
        for kind, (name, url) in wanted.items():
            if kind not in services:
                service = {"type": kind, "name": name}
                services[kind] = self.identity.post("/services", {"service": service})["service"]["id"]
            for interface in INTERFACES:
                if (services[kind], interface) not in taken:
                    self.identity.post("/endpoints", {"endpoint": {
                        "service_id": services[kind], "interface": interface, "region_id": REGION, "url": url}})


def make(place):
    """Everything in Keystone that the services and the tests need."""
    accounts = Accounts(place)
    accounts.make_people()
    accounts.make_catalog()
