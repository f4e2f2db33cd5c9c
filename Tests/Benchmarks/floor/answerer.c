/* The floor of a server: one thread that reads requests and writes one answer, and does nothing else.
 *
 *     answerer PORT FILE
 *
 * FILE holds the whole answer, head and content. A request ends with an empty line and has no content. What no server can
 * do without is what is left: a call that waits, one that reads, one that writes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { most_descriptors = 32768, most_events = 256, most_request = 65536 };

static char *answer;
static size_t answer_size;
/* Of each connection: how much of its answer is still to be written, zero between answers. */
static size_t left[most_descriptors];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int set, int operation, int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(set, operation, descriptor, &event) < 0) fail("epoll_ctl");
}

static void read_answer(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) < 0) fail(path);
    answer_size = (size_t)status.st_size;
    answer = malloc(answer_size);
    for (size_t done = 0; done < answer_size;) {
        ssize_t count = read(file, answer + done, answer_size - done);
        if (count <= 0) fail(path);
        done += (size_t)count;
    }
    close(file);
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    return listener;
}

static void end(int descriptor) {
    left[descriptor] = 0;
    close(descriptor);
}

/* Writes what is left. A connection that takes no more is waited for; one that was waited for is read from again. */
static void write_answer(int set, int descriptor, int waited) {
    ssize_t count = send(descriptor, answer + answer_size - left[descriptor], left[descriptor], MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) {
        end(descriptor);
        return;
    }
    if (count > 0) left[descriptor] -= (size_t)count;
    if (left[descriptor] > 0 && !waited) watch(set, EPOLL_CTL_MOD, descriptor, EPOLLOUT);
    if (left[descriptor] == 0 && waited) watch(set, EPOLL_CTL_MOD, descriptor, EPOLLIN);
}

static void read_request(int set, int descriptor) {
    static char request[most_request];
    ssize_t count = recv(descriptor, request, sizeof request, 0);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN) end(descriptor);
        return;
    }
    /* Load tools write a request at once, so one that has not ended is not this program's business. */
    if (count < 4 || memcmp(request + count - 4, "\r\n\r\n", 4) != 0) {
        end(descriptor);
        return;
    }
    left[descriptor] = answer_size;
    write_answer(set, descriptor, 0);
}

static void accept_all(int set, int listener) {
    for (;;) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
        if (descriptor < 0) return;
        if (descriptor >= most_descriptors) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(set, EPOLL_CTL_ADD, descriptor, EPOLLIN);
    }
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: answerer PORT FILE\n");
        return 2;
    }
    read_answer(arguments[2]);
    int listener = listen_on(atoi(arguments[1])), set = epoll_create1(0);
    watch(set, EPOLL_CTL_ADD, listener, EPOLLIN);
    static struct epoll_event events[most_events];
    for (;;) {
        int ready = epoll_wait(set, events, most_events, -1);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor == listener) accept_all(set, listener);
            else if (left[descriptor] > 0) write_answer(set, descriptor, 1);
            else read_request(set, descriptor);
        }
    }
}
