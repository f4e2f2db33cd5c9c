"""nghttpx: a bare proxy; it has no store."""

import harness
from servers.server import Server

PROGRAM = harness.find_program("nghttpx")


class Nghttpx(Server):
    label, program = "nghttpx", PROGRAM
    is_store = False
    version_arguments = ("--version",)

    def start(self):
        self.hold_ports()
        values = self.settings()
        self.launch(
            # No file of settings; one process that has one thread.
            PROGRAM, "--conf=/dev/null", "--single-process", "--workers=1",
            f"--frontend=127.0.0.1,{self.plain_port};no-tls", f"--frontend=127.0.0.1,{self.tls_port}",
            f"--backend=127.0.0.1,{values['nova']}",
            "--tls-min-proto-version=TLSv1.3", "--tls-max-proto-version=TLSv1.3", "--no-ocsp",
            # For speed: no log, no fields of its own, connections kept for ever, windows that do not stop an answer.
            "--accesslog-file=/dev/null", "--accesslog-format=", "--errorlog-file=/dev/stderr", "--log-level=ERROR",
            "--no-via", "--no-add-x-forwarded-proto", "--no-location-rewrite", "--no-server-rewrite",
            "--frontend-keep-alive-timeout=1h", "--backend-keep-alive-timeout=1h", "--backend-read-timeout=1h",
            "--frontend-http2-read-timeout=1h", "--frontend-read-timeout=1h", "--backend-max-backoff=1",
            "--frontend-http2-max-concurrent-streams=256", "--backend-connections-per-host=512", "--backlog=8192",
            "--worker-frontend-connections=0", values["key"], values["certificate"])
