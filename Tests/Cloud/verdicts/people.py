"""Who asks, and the gateway that is asked: tokens of every kind that the lists name, good ones and others."""

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


def gateway(directory, cloud):
    """Gatehouse as the verdicts need it: Nova's own rules, nothing stored, and made-up tokens without end."""
    return Gateway(
        directory, cloud, {"cache": "off", "limits": {"bad_tokens": "off"}},
        {"validation": {"profile": "nova"}, "upstream": {"keep_alive": "off"}})
