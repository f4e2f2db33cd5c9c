"""The services themselves: their databases, and the order in which they start."""

import grp
import os
import pwd
from concurrent.futures import ThreadPoolExecutor

from . import accounts
from .configuration import Configuration, write
from .names import REGION
from .place import LOOPBACK
from .processes import Processes
from .stores import Stores

# name -> (module of its application, processes)
WEB = {
    "keystone": ("keystone.wsgi.api", 2),
    "placement": ("placement.wsgi.api", 1),
    "neutron": ("neutron.wsgi.api", 1),
    "glance": ("glance.wsgi.api", 1),
    "nova": ("nova.wsgi.osapi_compute", 2),
}
DAEMONS = ("nova-conductor", "nova-scheduler", "nova-compute")


class Services:
    """All processes of one place."""

    def __init__(self, place, say):
        self.place = place
        self.say = say
        self.processes = Processes(place)
        self.stores = Stores(place, self.processes)
        self.made = place.state / "databases-made"

    def start(self):
        """Starts what does not run, and makes the databases the first time."""
        Configuration(self.place).write_all()
        self.stores.start()
        self.stores.wait()
        self.say("databases and cache answer")
        first = not self.made.exists()
        if first:
            self.stores.create_databases()
        with ThreadPoolExecutor(2) as lanes:
            # Two cores, two lanes of about the same length.
            identity = lanes.submit(self.start_keystone, first)
            if first:
                self.make_nova()
                self.manage("neutron", "neutron-db-manage", "upgrade", "heads")
            identity.result()
        self.made.touch()
        self.say("databases made, keystone answers")
        for name in ("placement", "neutron", "glance", "nova"):
            self.start_web(name)
        self.stores.wait_for_queue()
        for name in DAEMONS:
            self.processes.spawn(name, [self.place.programs / name, "--config-file", self.file("nova")])
        for name in ("placement", "glance", "neutron", "nova"):
            self.wait_web(name)
        self.say("every service answers")

    def stop(self):
        # Those that ask others first, what they keep their state in last.
        self.processes.end(["nova", *DAEMONS, "placement", "neutron", "glance", "keystone"], 8)
        self.processes.end(["rabbitmq", "memcached", "mariadb"], 20)
        self.processes.end(["epmd"], 5)

    # Databases

    def file(self, service):
        name = "glance-api" if service == "glance" else service
        return self.place.configuration / service / f"{name}.conf"

    def manage(self, service, program, *arguments):
        self.processes.run(
            f"{program}-setup", [self.place.programs / program, "--config-file", self.file(service), *arguments])

    def make_nova(self):
        def manage(*arguments):
            self.manage("nova", "nova-manage", *arguments)

        manage("api_db", "sync")
        manage("cell_v2", "map_cell0", "--database_connection", self.place.database("nova_cell0"))
        manage(
            "cell_v2", "create_cell", "--name", "cell1", "--database_connection", self.place.database("nova_cell1"),
            "--transport-url", self.place.transport)
        manage("db", "sync")

    def start_keystone(self, first):
        if first:
            def manage(*arguments):
                self.manage("keystone", "keystone-manage", *arguments)

            owner = [
                "--keystone-user", pwd.getpwuid(os.getuid()).pw_name,
                "--keystone-group", grp.getgrgid(os.getgid()).gr_name]
            manage("db_sync")
            manage("fernet_setup", *owner)
            manage("credential_setup", *owner)
            url = self.place.identity_url
            manage(
                "bootstrap", "--bootstrap-username", "admin", "--bootstrap-password", self.place.password,
                "--bootstrap-project-name", "admin", "--bootstrap-role-name", "admin", "--bootstrap-service-name",
                "keystone", "--bootstrap-region-id", REGION, "--bootstrap-public-url", url,
                "--bootstrap-internal-url", url, "--bootstrap-admin-url", url)
        self.start_web("keystone")
        self.wait_web("keystone")
        accounts.make(self.place)
        if first:
            self.manage("glance", "glance-manage", "db", "sync")
            self.manage("placement", "placement-manage", "db", "sync")

    # Web services

    def start_web(self, name, port=None, process=None):
        """Starts a service under uWSGI, as devstack does; another `process` of it can run on another port."""
        module, count = WEB[name]
        process = process or name
        path = self.place.folder("uwsgi") / f"{process}.ini"
        settings = uwsgi_settings(self.place.programs.parent, process, module, count, port or self.place.ports[name])
        write(path, {"uwsgi": settings})
        self.processes.spawn(process, [self.place.programs / "uwsgi", "--ini", path])

    def wait_web(self, name, port=None, process=None):
        path = "/v3" if name == "keystone" else "/"
        self.processes.wait_for_answer(
            process or name, f"http://{LOOPBACK}:{port or self.place.ports[name]}{path}", 120)


def uwsgi_settings(environment, name, module, count, port):
    return {
        "http-socket": f"{LOOPBACK}:{port}", "home": environment, "module": f"{module}:application", "need-app": "true",
        "master": "true", "lazy-apps": "true", "processes": count, "threads": 1, "enable-threads": "true",
        "thunder-lock": "true", "die-on-term": "true", "exit-on-reload": "true", "buffer-size": 65535, "listen": 100,
        "procname-prefix-spaced": f"cloud-{name}", "disable-logging": "true",
        # Without it uWSGI closes after each answer and does not say so.
        "add-header": "Connection: close",
    }
