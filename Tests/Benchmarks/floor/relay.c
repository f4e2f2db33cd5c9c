/* The floor of a proxy: one thread that carries requests to an upstream and answers back, and does nothing else.
 *
 *     relay PORT UPSTREAM-PORT ANSWER-SIZE
 *
 * Each answer of the upstream has ANSWER-SIZE bytes, head and content; so nothing is parsed. Connections to the upstream are
 * kept and lent, the last one given back first. What no proxy can do without is what is left: a call that waits, and for
 * each side one that reads and one that writes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { most_descriptors = 32768, most_events = 256, most_piece = 65536 };
enum kind { downstream = 1, upstream = 2 };

static struct {
    enum kind kind;
    int other;   /* the connection at the other side while an exchange is under way, else 0 */
    size_t left; /* upstream: how much of the answer is still to come */
} connections[most_descriptors];

static int idle[most_descriptors], idle_count;
static int set, upstream_port;
static size_t answer_size;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void begin(int descriptor, enum kind kind) {
    int on = 1;
    if (descriptor >= most_descriptors) fail("too many connections");
    connections[descriptor].kind = kind;
    connections[descriptor].other = 0;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
}

/* Ends a connection and, amid an exchange, the one at its other side; an idle one of the upstream leaves the pool. */
static void end(int descriptor) {
    int other = connections[descriptor].other;
    if (other == 0 && connections[descriptor].kind == upstream)
        for (int index = 0; index < idle_count; index++)
            if (idle[index] == descriptor) idle[index] = idle[--idle_count];
    connections[descriptor].kind = 0;
    close(descriptor);
    if (other > 0) {
        connections[other].kind = 0;
        close(other);
    }
}

static int borrow_upstream(void) {
    if (idle_count > 0) return idle[--idle_count];
    struct sockaddr_in address = loopback(upstream_port);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    begin(descriptor, upstream);
    return descriptor;
}

static void carry(int descriptor) {
    static char piece[most_piece];
    ssize_t count = recv(descriptor, piece, sizeof piece, MSG_DONTWAIT);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) end(descriptor);
        return;
    }
    if (connections[descriptor].kind == downstream && connections[descriptor].other == 0) {
        int other = borrow_upstream();
        connections[descriptor].other = other;
        connections[other].other = descriptor;
        connections[other].left = answer_size;
    }
    int other = connections[descriptor].other;
    /* Pieces are as small as a socket's buffer takes at once, so what is not written whole is the end of it. */
    if (other == 0 || send(other, piece, (size_t)count, MSG_NOSIGNAL) != count) {
        end(descriptor);
        return;
    }
    if (connections[descriptor].kind == upstream && (connections[descriptor].left -= (size_t)count) == 0) {
        connections[other].other = 0;
        connections[descriptor].other = 0;
        idle[idle_count++] = descriptor;
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: relay PORT UPSTREAM-PORT ANSWER-SIZE\n");
        return 2;
    }
    upstream_port = atoi(arguments[2]);
    answer_size = (size_t)atol(arguments[3]);
    struct sockaddr_in address = loopback(atoi(arguments[1]));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll_ctl");
    static struct epoll_event events[most_events];
    for (;;) {
        int ready = epoll_wait(set, events, most_events, -1);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor != listener) {
                /* An event of a connection that ended with its other side in this round. */
                if (connections[descriptor].kind != 0) carry(descriptor);
                continue;
            }
            int accepted;
            while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) begin(accepted, downstream);
        }
    }
}
