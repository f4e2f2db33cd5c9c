"""What the seeded servers are like: the same ids, names, states and times in every cloud.

Recorded answers name these ids, so every number here is part of a contract: a change makes the records worthless.
"""

import dataclasses
import datetime
import uuid

COUNTS = {"A": 1500, "B": 300}
# Servers of this many first numbers have a port in neutron.
PORTS = {"A": 60, "B": 20}
FLAVORS = ("1", "2", "3", "4", "5", "42", "c5a7d5d1-0f0e-4d3e-9a53-0c8f7a1d1d11")
HOSTS = ("fake-seed-1", "fake-seed-2", "fake-seed-3")
# A server that was asked for and that the scheduler has not seen. One alone: a project with two of them gets 500 from
# Nova 34 when sorted by a key that they have not.
BUILDING = "osbed-build-0"

_START = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
# Of a hundred servers so many are in this state: (how many, state, task, power state).
_STATES = [
    (60, "active", None, 1), (12, "stopped", None, 4), (3, "paused", None, 3), (3, "suspended", None, 4),
    (4, "error", None, 0), (3, "building", "spawning", 0), (2, "resized", None, 1), (4, "shelved_offloaded", None, 4),
    (1, "shelved", None, 4), (1, "rescued", None, 1), (1, "active", "rebooting", 1),
    (1, "active", "reboot_pending_hard", 1), (1, "active", "deleting", 1), (1, "soft-delete", None, 1),
    (1, "active", "image_uploading", 1), (2, "active", "powering-off", 1)]
_HUNDRED = [state for count, *state in _STATES for _ in range(count)]
assert len(_HUNDRED) == 100


def seeded_id(name):
    """The id of something seeded, from its name in the records."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


@dataclasses.dataclass(frozen=True)
class Shape:
    """Server number `index` of a project. Ids of projects, people and images differ by cloud, and are left to the writer."""

    project: str
    index: int

    @property
    def uuid(self):
        return seeded_id(f"osbed-{self.project}-{self.index}")

    @property
    def vm_state(self):
        return self._state[0]

    @property
    def task_state(self):
        return self._state[1]

    @property
    def power_state(self):
        return self._state[2]

    @property
    def _state(self):
        # 37 and 100 have no common divisor: a hundred in a row have every state, well mixed.
        return _HUNDRED[self.index * 37 % 100]

    @property
    def is_deleted(self):
        return self.index % 20 == 7

    @property
    def is_in_cell0(self):
        """Where servers are kept that no host would have."""
        return self.vm_state == "error" and self.index % 2 == 1

    @property
    def is_on_host(self):
        return self.vm_state != "shelved_offloaded" and not self.is_in_cell0

    @property
    def has_network(self):
        return self.vm_state != "building" and not self.is_in_cell0

    @property
    def created(self):
        late = 7 if self.project == "B" else 0
        return _START + datetime.timedelta(minutes=431 * self.index + late)

    @property
    def updated(self):
        """None for one that was never changed after it was made."""
        if self.index % 50 == 3:
            return None
        return self.created + datetime.timedelta(minutes=self.index * 7919 % 400000)

    @property
    def ended(self):
        return (self.updated or self.created) if self.is_deleted else None

    @property
    def name(self):
        prefix, number = self.project.lower(), self.index
        if number % 97 == 11:
            return f"dots.and+plus (x) [{number}] 100%_&<>\"'"
        if number % 211 == 5:
            return f"größe-日本-{number}"
        return (f"{prefix}-web-{number:04d}", f"{prefix}-db-{number:04d}", f"{prefix}-batch-{number % 10}")[number % 3]

    @property
    def flavor(self):
        return FLAVORS[self.index % len(FLAVORS)]

    @property
    def image(self):
        """The name of its image; None for one that boots from a volume."""
        if self.index % 9 == 0:
            return None
        return ("bed-cirros", "bed-debian", None)[self.index % 3]

    @property
    def host(self):
        return HOSTS[self.index % 3]

    @property
    def owner(self):
        if self.project == "B":
            return "bob"
        return "alice" if self.index % 4 else "erin"

    @property
    def key_name(self):
        return f"key-{self.owner}-{self.index % 3:02d}" if self.index % 4 == 1 else None

    @property
    def address(self):
        """The address it has, or would have with a port."""
        second = 10 if self.project == "A" else 20
        if self.has_port:
            return f"10.{second}.50.{self.index + 1}"
        return f"10.{second}.{100 + self.index // 250}.{self.index % 250 + 1}"

    @property
    def mac_address(self):
        number = self.index
        if self.has_port:
            return f"fa:16:3e:{'aa' if self.project == 'A' else 'bb'}:00:{number:02x}"
        return f"fa:16:3e:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"

    @property
    def has_port(self):
        return self.index < PORTS[self.project] and not self.is_deleted

    @property
    def key(self):
        """What it is, as recorded requests name it."""
        if self.is_deleted:
            return f"{self.project}_deleted"
        task = f"_{self.task_state}" if self.task_state else ""
        return f"{self.project}_{self.vm_state}{task}{'_cell0' if self.is_in_cell0 else ''}"


def all_shapes():
    return [Shape(project, index) for project, count in COUNTS.items() for index in range(count)]


def samples():
    """key -> id of the first server that is so; `A_with_port` is an active one that neutron knows."""
    found = {}
    for shape in all_shapes():
        # Recorded with the first four hundred of each; the keys are complete long before.
        if shape.index < 400:
            found.setdefault(shape.key, shape.uuid)
            if shape.has_port and shape.vm_state == "active":
                found.setdefault(f"{shape.project}_with_port", shape.uuid)
    return found
