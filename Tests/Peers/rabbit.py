"""RabbitMQ of the real rabbitmq-server, with its state, its ports, its port mapper and its cookie in a folder of its own."""

import contextlib
import glob
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess

import harness
import redis

EPMD = harness.find_program("epmd")
PROGRAMS = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))
MISSING = "rabbitmq-server is not installed: deploy/packages --test"
CERTIFICATES = redis.CERTIFICATES
CA = CERTIFICATES / "ca.crt"


class PortMapper(harness.Process):
    """What tells Erlang's nodes of each other; in the foreground, since the one that a node starts by itself outlives it."""

    name = "epmd"

    def __init__(self, directory):
        super().__init__(directory)
        self.port = redis.free_port()
        self.spawn([EPMD, "-address", harness.LOOPBACK, "-port", self.port])
        harness.wait_until(lambda: is_taken(self.port), 20, "the port mapper listens")


class Broker(harness.Process):
    """One rabbitmq-server, over TCP and over TLS; what it keeps survives `kill` and `start`.

    `users` are names with passwords, each of which may do everything in each of `hosts`.
    """

    name = "rabbitmq"

    def __init__(self, directory, users):
        super().__init__(directory)
        self.hosts = [f"host-{number}" for number in range(20)]
        self.mapper = PortMapper(self.directory)
        self.port, self.tls_port, self.peers_port = redis.free_port(), redis.free_port(), redis.free_port()
        # Erlang makes a cookie in the folder that HOME names, and is content with one that is there.
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {harness.LOOPBACK}:{self.port}\nlisteners.ssl.1 = {harness.LOOPBACK}:{self.tls_port}\n"
            f"ssl_options.cacertfile = {CA}\nssl_options.certfile = {CERTIFICATES / 'localhost-ecdsa.crt'}\n"
            f"ssl_options.keyfile = {CERTIFICATES / 'localhost-ecdsa.key'}\nssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = false\nlog.console = true\nlog.file = false\n"
            # The disk of whoever runs this may be nearly full.
            f"disk_free_limit.absolute = 1MB\nload_definitions = {self.directory / 'definitions.json'}\n")
        # Made when it starts: rabbitmqctl takes seconds for each.
        definitions = json.dumps({
            "users": [{"name": name, "password": password, "tags": ""} for name, password in users.items()],
            "vhosts": [{"name": host} for host in ["/", *self.hosts]],
            "permissions": [
                {"user": name, "vhost": host, "configure": ".*", "write": ".*", "read": ".*"}
                for name in users for host in self.hosts]})
        for name, text in (("environment.conf", ""), ("plugins", "[].\n"), ("definitions.json", definitions)):
            (self.directory / name).write_text(text)
        self.node = f"peers{self.port}@localhost"
        self.start()

    def environment(self):
        home = self.directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return {
            **kept, "HOME": str(home), "LC_ALL": "C.UTF-8", "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.peers_port), "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"), "RABBITMQ_CONF_ENV_FILE": str(home / "environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_PID_FILE": str(home / "pid"), "ERL_EPMD_ADDRESS": harness.LOOPBACK,
            "ERL_EPMD_PORT": str(self.mapper.port),
            # The script then becomes the broker itself, whose process is the one that is to be killed.
            "RUNNING_UNDER_SYSTEMD": "true",
            # One scheduler that does not spin: the cores are for the others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"}

    def start(self):
        self.spawn([pathlib.Path(PROGRAMS[-1]) / "rabbitmq-server"], self.environment())

        def ready():
            self.assert_alive()
            return is_taken(self.port) and is_taken(self.tls_port)

        harness.wait_until(ready, 120, lambda: f"rabbitmq-server is ready\n{self.output_path.read_text()[-4000:]}")

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def control(self, *arguments):
        """What `rabbitmqctl` prints."""
        done = subprocess.run(
            [pathlib.Path(PROGRAMS[-1]) / "rabbitmqctl", "--quiet", "--node", self.node, *map(str, arguments)],
            env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self, self.mapper):
            if process.child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
                process.kill()


def is_taken(port):
    with contextlib.suppress(OSError), socket.create_connection((harness.LOOPBACK, port), timeout=1):
        return True
    return False
