"""Tokens of every kind that the lists name: people's own, and ones that are expired, revoked, cut or made up."""

import datetime
import json
import time
import urllib.error
import urllib.parse
import urllib.request


class Keystone:
    """As much of the identity API as making tokens takes."""

    def __init__(self, url, password):
        self.url = url.rstrip("/")
        self.password = password

    def call(self, method, path, body=None, token=None, fields=()):
        request = urllib.request.Request(
            self.url + path, None if body is None else json.dumps(body).encode(), method=method,
            headers={"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {}), **dict(fields)})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            content = answer.read()
            return answer.headers, json.loads(content) if content else None

    def token(self, user, project=None, scope=None):
        """(token, what Keystone says of it); `scope` goes before `project`."""
        auth = {"identity": {"methods": ["password"], "password": {
            "user": {"name": user, "domain": {"name": "Default"}, "password": self.password}}}}
        if scope is None and project is not None:
            scope = {"project": {"name": project, "domain": {"name": "Default"}}}
        if scope is not None:
            auth["scope"] = scope
        headers, value = self.call("POST", "/v3/auth/tokens", {"auth": auth})
        return headers["X-Subject-Token"], value["token"]

    def revoke(self, token):
        self.call("DELETE", "/v3/auth/tokens", token=token, fields=[("X-Subject-Token", token)])

    def expired_token(self, user, project):
        """A token that was good for two seconds: of an application credential that ends then."""
        own, value = self.token(user, project)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        _, made = self.call(
            "POST", f"/v3/users/{value['user']['id']}/application_credentials",
            {"application_credential": {
                "name": f"short-{time.time_ns()}", "expires_at": end.strftime("%Y-%m-%dT%H:%M:%S")}}, token=own)
        credential = made["application_credential"]
        headers, value = self.call("POST", "/v3/auth/tokens", {"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": credential["id"], "secret": credential["secret"]}}}})
        token = headers["X-Subject-Token"]
        deadline = time.monotonic() + 20
        while True:
            try:
                self.call("GET", "/v3/auth/tokens?nocatalog", token=own, fields=[("X-Subject-Token", token)])
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return token
                raise
            if time.monotonic() > deadline:
                raise AssertionError(f"a token that ends {value['token']['expires_at']} does not expire")
            time.sleep(0.1)


def tokens(keystone):
    """Every name of the lists with its token: ({name: token}, {name: what Keystone says of it})."""
    found, bodies = {}, {}
    for name, user, project in [
        ("admin", "admin", "admin"), ("alice", "alice", "A"), ("alice2", "alice", "A"), ("bob", "bob", "B"),
        ("carol", "carol", "A"), ("erin", "erin", "A"), ("erin@B", "erin", "B"), ("padmin", "padmin", "A"),
        ("service", "nova", "service"),
    ]:
        found[name], bodies[name] = keystone.token(user, project)
    found["unscoped"], bodies["unscoped"] = keystone.token("alice", scope="unscoped")
    found["system-admin"], bodies["system-admin"] = keystone.token("admin", scope={"system": {"all": True}})
    found["revoked"], _ = keystone.token("alice", "A")
    keystone.revoke(found["revoked"])
    found["expired"] = keystone.expired_token("alice", "A")
    alice = found["alice"]
    found.update({
        "garbage": "garbage", "uuid-like": "0123456789abcdef0123456789abcdef", "truncated": alice[:-5],
        "tampered": alice[:40] + ("A" if alice[40] != "A" else "B") + alice[41:], "padded": alice + "==",
        "huge": "g" * 8000, "spaces": "a b c", "nonascii": "g\xe4AAAA\xff", "empty": "",
    })
    return found, bodies
