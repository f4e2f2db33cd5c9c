"""Asks the services of the cloud as a client would."""

import requests

from .names import DOMAIN, HOME_PROJECT


class RestError(Exception):
    """An answer that was not expected: method, address, status and the start of the content."""


class Rest:
    """One service, asked with one token. Paths are relative to `base`."""

    def __init__(self, base, token=None, microversion=None):
        self.base = base.rstrip("/")
        self.session = requests.Session()
        # A proxy of the environment must not come between loopback and us.
        self.session.trust_env = False
        # A connection for each request: none is left open for a test to trip over.
        self.session.headers["Connection"] = "close"
        if token:
            self.session.headers["X-Auth-Token"] = token
        if microversion:
            self.session.headers["OpenStack-API-Version"] = f"compute {microversion}"

    def ask(self, method, path, body=None, **more):
        """The answer, whatever its status."""
        return self.session.request(method, self.base + path, json=body, **{"timeout": 120, **more})

    def do(self, method, path, body=None, also=(), **more):
        """The answer's JSON (None when it has none); an error unless its status is 2xx or in `also`."""
        answer = self.ask(method, path, body, **more)
        if not answer.ok and answer.status_code not in also:
            raise RestError(f"{method} {self.base}{path}: {answer.status_code} {answer.text[:600]}")
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.json() if answer.ok and answer.content and is_json else None

    def get(self, path, **more):
        return self.do("GET", path, **more)

    def post(self, path, body, **more):
        return self.do("POST", path, body, **more)


def issue_token(identity_url, user, password, project=None, scope=None):
    """A new token by password: its text and what Keystone says of it.

    `project` is a name; without it and without `scope` the user's home project is taken. `scope="unscoped"`, or a
    scope as Keystone's API has it.
    """
    credentials = {"user": {"name": user, "domain": {"name": DOMAIN}, "password": password}}
    auth = {"identity": {"methods": ["password"], "password": credentials}}
    if scope is not None:
        auth["scope"] = scope
    else:
        name = project or HOME_PROJECT.get(user, "service")
        auth["scope"] = {"project": {"name": name, "domain": {"name": DOMAIN}}}
    answer = Rest(identity_url).ask("POST", "/auth/tokens", {"auth": auth})
    if not answer.ok:
        raise RestError(f"no token for {user}: {answer.status_code} {answer.text[:600]}")
    return answer.headers["X-Subject-Token"], answer.json()["token"]
