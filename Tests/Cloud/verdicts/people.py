"""Tokens of every kind that the lists name: people's own, and ones that are expired, revoked, cut or made up."""

from gateway import Gateway
from stack.rest import Rest, issue_token

PEOPLE = [
    ("admin", "admin", "admin"), ("alice", "alice", "A"), ("alice2", "alice", "A"), ("bob", "bob", "B"),
    ("carol", "carol", "A"), ("erin", "erin", "A"), ("erin@B", "erin", "B"), ("padmin", "padmin", "A"),
    ("service", "nova", "service"),
]


class People:
    """`tokens`: name -> token; `facts`: name -> what Keystone says of it, for those that it issued."""

    def __init__(self, cloud):
        self.tokens, self.facts = {}, {}

        def issue(name, user, **scope):
            self.tokens[name], self.facts[name] = issue_token(cloud.identity_url, user, cloud.password, **scope)

        for name, user, project in PEOPLE:
            issue(name, user, project=project)
        issue("unscoped", "alice", scope="unscoped")
        issue("system-admin", "admin", scope={"system": {"all": True}})
        issue("revoked", "alice", project="A")
        revoked = self.tokens["revoked"]
        Rest(cloud.identity_url, revoked).do("DELETE", "/auth/tokens", headers={"X-Subject-Token": revoked})
        # An hour is within the time that a service may still vouch for a token, three days are not.
        self.tokens["expired"] = cloud.expired_token("alice", "A", 1)
        self.tokens["expired-long"] = cloud.expired_token("alice", "A", 72)
        alice = self.tokens["alice"]
        self.tokens |= {
            "garbage": "garbage", "uuid-like": "0123456789abcdef0123456789abcdef", "truncated": alice[:-5],
            "tampered": alice[:40] + ("A" if alice[40] != "A" else "B") + alice[41:], "padded": alice + "==",
            "huge": "g" * 8000, "spaces": "a b c", "nonascii": "g\xe4AAAA\xff", "empty": "",
        }

    def identities(self):
        """`identity` of the settings for tokens that stand in the settings, with what Keystone says of them."""
        known = [
            {"token": self.tokens[name], "roles": [role["name"] for role in facts["roles"]],
             **{part: {key: facts[part][key] for key in ("id", "name")} for part in ("user", "project")}}
            for name, facts in self.facts.items() if "project" in facts and name != "revoked"]
        return {"provider": "static", "static": {"tokens": known}}


def gateway(directory, cloud, people):
    """Gatehouse as the verdicts need it: Nova's own rules, nothing stored, each answer from where it was made."""
    return Gateway(
        directory, cloud, {"cache": "off", "identity": people.identities()},
        {"upstream": {"keep_alive": "off"}})
