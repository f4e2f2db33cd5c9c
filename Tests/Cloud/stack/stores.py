"""What the services keep their state in: MariaDB, memcached and RabbitMQ, Debian's programs as processes of ours."""

import glob
import os
import shutil

import pymysql

from .place import LOOPBACK
from .processes import StartFailure

DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova_cell0", "nova_cell1")


def find_program(*names):
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        if path:
            return path
    raise StartFailure(f"{names[0]} is not installed: run deploy/packages --cloud")


class Stores:
    """The three, of one place."""

    def __init__(self, place, processes):
        self.place = place
        self.processes = processes
        # The programs refuse to run as root unless they are told to.
        self.as_root = os.getuid() == 0

    def start(self):
        """Starts all three; none is waited for."""
        self.start_mariadb()
        self.start_rabbitmq()
        self.processes.spawn("memcached", [
            find_program("memcached"), "-l", LOOPBACK, "-p", self.place.ports["memcached"], "-U", "0", "-m", "128",
            "-c", "1024", *(["-u", "root"] if self.as_root else [])])

    def wait(self):
        """Until the databases and the cache answer. The queue is slower, and waited for by those who need it."""
        self.processes.wait("mariadb", self.is_open, 60, "it answers")
        self.processes.wait_for_port("memcached", self.place.ports["memcached"], 20)

    def wait_for_queue(self):
        self.processes.wait_for_port("rabbitmq", self.place.ports["rabbitmq"], 90)

    # MariaDB

    def start_mariadb(self):
        data = self.place.state / "mariadb"
        user = ["--user=root"] if self.as_root else []
        if not (data / "mysql").exists():
            self.processes.run("mariadb-install", [
                find_program("mariadb-install-db"), "--no-defaults", *user, f"--datadir={data}",
                "--auth-root-authentication-method=normal", "--skip-test-db"], 60)
        self.processes.spawn("mariadb", [
            find_program("mariadbd"), "--no-defaults", *user, f"--datadir={data}", f"--socket={self.place.socket}",
            f"--pid-file={self.place.run / 'mariadb.pid'}", f"--tmpdir={self.place.state / 'tmp'}",
            f"--bind-address={LOOPBACK}", f"--port={self.place.ports['mariadb']}", "--max-connections=400",
            # Three bytes a character, as clouds have it: a name of four is an error there too.
            "--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci",
            # The data is thrown away: it need not survive a power cut.
            "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite",
            "--innodb-buffer-pool-size=256M", "--performance-schema=off"])

    def connect(self, database=None):
        return pymysql.connect(unix_socket=str(self.place.socket), user="root", database=database, autocommit=True)

    def is_open(self):
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def run_sql(self, *statements, database=None):
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(*([statement] if isinstance(statement, str) else statement))

    def create_databases(self):
        for name in DATABASES:
            self.run_sql(f"CREATE DATABASE IF NOT EXISTS {name}")
        for host in (LOOPBACK, "localhost"):
            account = f"'cloud'@'{host}'"
            self.run_sql(
                f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{self.place.password}'",
                f"GRANT ALL ON *.* TO {account}")

    # RabbitMQ

    def start_rabbitmq(self):
        home = self.place.folder("rabbitmq")
        ports = {name: str(self.place.ports[name]) for name in ("rabbitmq", "rabbitmq_peers", "epmd")}
        scripts = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
        if not scripts:
            raise StartFailure("rabbitmq-server is not installed: run deploy/packages --cloud")
        # A port mapper of our own, in the foreground: the one that Erlang would start by itself outlives it.
        self.processes.spawn("epmd", [find_program("epmd"), "-address", LOOPBACK, "-port", ports["epmd"]])
        self.processes.wait_for_port("epmd", self.place.ports["epmd"], 10)
        for name, text in (("environment.conf", ""), ("rabbitmq.conf", ""), ("plugins", "[].\n")):
            (home / name).write_text(text)
        self.processes.spawn("rabbitmq", [scripts[-1]], self.place.environment(
            HOME=str(home), RABBITMQ_NODENAME=f"cloud{ports['rabbitmq']}@localhost", RABBITMQ_NODE_IP_ADDRESS=LOOPBACK,
            RABBITMQ_NODE_PORT=ports["rabbitmq"], RABBITMQ_DIST_PORT=ports["rabbitmq_peers"],
            RABBITMQ_MNESIA_BASE=str(home / "mnesia"), RABBITMQ_LOG_BASE=str(home / "log"),
            RABBITMQ_CONF_ENV_FILE=str(home / "environment.conf"), RABBITMQ_CONFIG_FILE=str(home / "rabbitmq"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(home / "plugins"), RABBITMQ_PID_FILE=str(home / "pid"),
            ERL_EPMD_ADDRESS=LOOPBACK, ERL_EPMD_PORT=ports["epmd"],
            # One scheduler that does not spin: the cores are for the services.
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"))
