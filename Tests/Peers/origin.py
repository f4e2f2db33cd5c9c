"""Origins that Gatehouse reaches by TLS and HTTP/2: nginx in front of a plain one, and some that do as they are told."""

import pathlib
import select
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import psutil

import harness

CERTIFICATES = pathlib.Path(__file__).resolve().parents[1] / "Certificates"
NGINX = harness.find_program("nginx")
NGHTTPD = harness.find_program("nghttpd")
CA = str(CERTIFICATES / "ca.crt")


def pair(name):
    """The paths of a certificate and its key."""
    return str(CERTIFICATES / f"{name}.crt"), str(CERTIFICATES / f"{name}.key")


class Nginx(harness.Process):
    """TLS, or HTTP/2 as well, in front of a plain upstream; tells in `X-Origin-…` fields what it saw."""

    name = "origin"

    def __init__(self, directory, upstream, certificate="localhost-ecdsa", http2=False, tls=True, more="",
                 versions="TLSv1.2 TLSv1.3"):
        super().__init__(directory)
        self.upstream, self.certificate, self.http2, self.tls = upstream, certificate, http2, tls
        self.more, self.versions = more, versions
        self.holder, self.port = harness.reserve_port()
        self.start()

    def start(self):
        certificate, key = pair(self.certificate)
        words = " ".join(word for word, wanted in (("ssl", self.tls), ("http2", self.http2)) if wanted)
        directory = self.directory
        path = directory / "nginx.conf"
        path.write_text(
            f"daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log info;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; client_max_body_size 0; client_body_temp_path {directory}/b;\n"
            f"  proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;\n"
            f"  scgi_temp_path {directory}/s; large_client_header_buffers 8 32k;\n"
            f"  server {{ listen 127.0.0.1:{self.port} {words} reuseport;\n"
            + (f"    ssl_certificate {certificate}; ssl_certificate_key {key};\n"
               f"    ssl_protocols {self.versions};\n" if self.tls else "")
            + f"    {self.more}\n"
            "    add_header X-Origin-Protocol $server_protocol always;\n"
            "    add_header X-Origin-Connection $connection always;\n"
            + ("    add_header X-Origin-TLS $ssl_protocol always; add_header X-Origin-Name $ssl_server_name always;\n"
               "    add_header X-Origin-Resumed $ssl_session_reused always;\n"
               "    add_header X-Origin-Client $ssl_client_s_dn always;\n" if self.tls else "")
            + f"    location / {{ proxy_pass {self.upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host;\n"
            "      proxy_set_header Connection ''; proxy_buffering off; proxy_request_buffering off; } } }\n")
        self.spawn([NGINX, "-p", directory, "-c", path])
        harness.wait_until(self.listens, 10, lambda: f"nginx listens: {self.errors()}")

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def named(self, host):
        """Its URL under another name of this host."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def listens(self):
        self.assert_alive()
        try:
            socket.create_connection((harness.LOOPBACK, self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def log(self):
        return (self.directory / "nginx.log").read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.terminate()
        self.holder.close()


class Nghttpd(harness.Process):
    """nghttp2's own server; it answers with the files of its directory, and takes content without looking at it."""

    name = "nghttpd"

    def __init__(self, directory, files, tls=True, *arguments):
        super().__init__(directory)
        for name, content in files.items():
            path = self.directory / "files" / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.tls = tls
        certificate, key = pair("localhost-ecdsa")
        self.spawn([
            NGHTTPD, "-a", harness.LOOPBACK, "-d", self.directory / "files", *arguments,
            *([] if tls else ["--no-tls"]), "0", *([key, certificate] if tls else [])])
        self.port = harness.wait_until(self.listens, 10, lambda: f"nghttpd listens: {self.errors()}")

    def listens(self):
        """The port that the kernel chose."""
        self.assert_alive()
        found = [one.laddr.port for one in psutil.Process(self.pid).net_connections() if one.status == "LISTEN"]
        return found[0] if found else None

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.terminate()


class Ending:
    """A TLS server that answers each connection's first request with `answer`, and then ends it with or without a word."""

    def __init__(self, answer, says_so, certificate="localhost-ecdsa", delay=None):
        self.answer, self.says_so, self.delay = answer, says_so, delay
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair(certificate))
        self.listener = socket.create_server((harness.LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            with self.context.wrap_socket(peer, server_side=True) as wrapped:
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = wrapped.recv(65_536)
                    if not piece:
                        return
                    data += piece
                wrapped.sendall(self.answer)
                if self.says_so:
                    wrapped.unwrap()
        except OSError:
            return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class Demanding(Ending):
    """A TLS server that ends the connections of clients without a certificate by an alert."""

    def __init__(self):
        super().__init__(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", says_so=True)
        self.context.load_verify_locations(CA)
        self.context.verify_mode = ssl.CERT_REQUIRED


class Stream:
    """A request on a stream of `Framed`, and the ways to answer it."""

    def __init__(self, peer, stream, fields):
        self.peer, self.id = peer, stream
        self.fields = [(name.decode(), value.decode()) for name, value in fields]
        self.content, self.is_ended = b"", False

    def value(self, name):
        return dict(self.fields).get(name)

    def answer(self, status=200, content=b"{}", fields=(), ends=True):
        """Queues an answer; content goes out as far as the windows allow."""
        lines = [(":status", str(status)), ("content-type", "application/json"), *fields]
        self.peer.connection.send_headers(self.id, lines, end_stream=ends and not content)
        if content:
            self.peer.unsent[self.id] = (memoryview(content), ends)

    def reset(self, code):
        self.peer.connection.reset_stream(self.id, code)


class Framed:
    """An HTTP/2 server made of h2: each whole request is given to `serve(stream)`, on its connection's thread.

    `begun(peer)` is called when a connection begins, `opened(stream)` when a request's head came. `peers` has the
    connections, oldest first, and `requests` all whole requests.
    """

    def __init__(self, serve=None, begun=None, opened=None, tls=True, protocols=("h2",), settings=None):
        self.serve = serve or (lambda stream: stream.answer())
        self.begun, self.opened, self.settings = begun, opened, settings
        self.peers, self.requests = [], []
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*pair("localhost-ecdsa"))
            self.context.set_alpn_protocols(list(protocols))
        self.listener = socket.create_server((harness.LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=FramedPeer(self, peer).run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for peer in self.peers:
            peer.close()


class FramedPeer:
    """One connection of `Framed`."""

    def __init__(self, origin, peer):
        self.origin, self.socket = origin, peer
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.streams, self.unsent, self.events = {}, {}, []
        self.is_open = True
        # What others want done on the connection's thread.
        self.wishes, self.waker = [], socket.socketpair()

    def run(self):
        try:
            if self.origin.context:
                self.socket = self.origin.context.wrap_socket(self.socket, server_side=True)
            self.origin.peers.append(self)
            if self.origin.settings:
                self.connection.local_settings = h2.settings.Settings(
                    client=False, initial_values=self.origin.settings)
            self.connection.initiate_connection()
            if self.origin.begun:
                self.origin.begun(self)
            self.push()
            while self.is_open:
                ready, _, _ = select.select([self.socket, self.waker[0]], [], [])
                if self.waker[0] in ready:
                    self.waker[0].recv(1)
                    self.wishes.pop(0)()
                if self.socket in ready:
                    data = self.socket.recv(262_144)
                    if not data:
                        break
                    for event in self.connection.receive_data(data):
                        self.take(event)
                self.push()
        except (OSError, ValueError, h2.exceptions.ProtocolError):
            # Closed under it, by either side.
            pass
        self.is_open = False
        self.socket.close()

    def take(self, event):
        self.events.append(event)
        if isinstance(event, h2.events.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
            if self.origin.opened:
                self.origin.opened(stream)
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id].content += event.data
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self.streams[event.stream_id]
            stream.is_ended = True
            self.origin.requests.append(stream)
            self.origin.serve(stream)
        elif isinstance(event, h2.events.StreamReset):
            self.unsent.pop(event.stream_id, None)

    def push(self):
        """Sends what waits, as far as the windows allow."""
        for stream, (content, ends) in list(self.unsent.items()):
            while content:
                count = min(
                    self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size,
                    len(content))
                if count <= 0:
                    break
                self.connection.send_data(stream, bytes(content[:count]), end_stream=ends and count == len(content))
                content = content[count:]
            self.unsent[stream] = (content, ends)
            if not content:
                del self.unsent[stream]
        data = self.connection.data_to_send()
        if data:
            self.socket.sendall(data)

    def wish(self, action):
        """Has `action()` done on the connection's thread."""
        self.wishes.append(action)
        try:
            self.waker[1].send(b".")
        except OSError:
            pass

    def close(self):
        if self.is_open:
            self.is_open = False
            self.wish(lambda: None)
