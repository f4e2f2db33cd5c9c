"""The names in the cloud that tests and recorded answers count on."""

DOMAIN = "Default"
REGION = "RegionOne"
PROJECTS = ("admin", "service", "A", "B")

# What each person may do: project, then roles there. The first project is home.
ROLES = {
    "admin": {"admin": ["admin"]},
    "alice": {"A": ["member"]},
    "bob": {"B": ["member"]},
    "carol": {"A": ["reader"]},
    "erin": {"A": ["member"], "B": ["member"]},
    "padmin": {"A": ["admin"]},
}
SERVICE_USERS = ("nova", "neutron", "glance", "placement")
HOME_PROJECT = {user: next(iter(roles)) for user, roles in ROLES.items()}
