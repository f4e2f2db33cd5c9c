#define _GNU_SOURCE
#include "Answers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CLinux_readable == EPOLLIN, "epoll bits");
_Static_assert(CLinux_writable == EPOLLOUT, "epoll bits");
_Static_assert(CLinux_error == EPOLLERR, "epoll bits");
_Static_assert(CLinux_hangUp == EPOLLHUP, "epoll bits");
_Static_assert(CLinux_peerHangUp == EPOLLRDHUP, "epoll bits");

static const char *const names[] = {
    "none", "epoll_create1", "epoll_ctl", "epoll_wait", "socket", "bind", "listen", "accept4", "connect",
    "recv", "send", "setsockopt", "shutdown", "close", "getsockname", "open", "write", "fdatasync",
    "ftruncate", "call",
};

// Planned failures.

#ifdef DEBUG
static _Thread_local CLinux_call hereCall;
static _Thread_local int32_t hereRest, hereCode;
static _Atomic int32_t everywhereCall, everywhereRest, everywhereCode;

static _Thread_local int32_t tornRest, tornCode;

int CLinux_planned(CLinux_call call) {
    if (tornCode != 0 && tornRest <= 0 && (call == CLinux_callWrite || call == CLinux_callTruncate)) return tornCode;
    if (hereRest > 0 && hereCall == call && --hereRest == 0) return hereCode;
    if (atomic_load(&everywhereCall) == (int32_t)call) {
        // Going below zero is harmless: only the step from one to zero fails a call.
        if (atomic_fetch_sub(&everywhereRest, 1) == 1) {
            atomic_store(&everywhereCall, CLinux_callNone);
            return atomic_load(&everywhereCode);
        }
    }
    return 0;
}

size_t CLinux_taken(size_t byteCount) { return tornCode != 0 && --tornRest == 0 ? byteCount / 2 : byteCount; }

int32_t CLinux_tearNthWrite(int32_t nth, int32_t code) {
    tornRest = nth;
    tornCode = code;
    return 1;
}

int32_t CLinux_failNth(int32_t everywhere, CLinux_call call, int32_t nth, int32_t code) {
    if (!everywhere) {
        hereCall = call;
        hereRest = nth;
        hereCode = code;
    } else {
        atomic_store(&everywhereCall, CLinux_callNone);
        atomic_store(&everywhereCode, code);
        atomic_store(&everywhereRest, nth);
        if (nth > 0) atomic_store(&everywhereCall, (int32_t)call);
    }
    return 1;
}
#else
int32_t CLinux_failNth(int32_t everywhere, CLinux_call call, int32_t nth, int32_t code) {
    (void)everywhere, (void)call, (void)nth, (void)code;
    return 0;
}

int32_t CLinux_tearNthWrite(int32_t nth, int32_t code) {
    (void)nth, (void)code;
    return 0;
}
#endif

// Answers.

static __attribute__((noinline, cold, noreturn)) void trap(CLinux_call call, int code) {
    dprintf(STDERR_FILENO, "gatehouse: %s answered %s, which is a bug in its caller\n", names[call],
        strerrorname_np(code));
    __builtin_trap();
}

__attribute__((noinline, cold)) int64_t CLinux_refused(CLinux_call call, int code) {
    if (code == EBADF || code == EFAULT) trap(call, code);
    return -(int64_t)code;
}

// Addresses.

static uint64_t readNumber(const uint8_t *bytes) {
    uint64_t number = 0;
    for (int index = 0; index < 8; index++) number = number << 8 | bytes[index];
    return number;
}

static void writeNumber(uint64_t number, uint8_t *bytes) {
    for (int index = 7; index >= 0; index--, number >>= 8) bytes[index] = (uint8_t)number;
}

static socklen_t toKernel(const CLinux_address *address, struct sockaddr_storage *storage) {
    memset(storage, 0, sizeof *storage);
    if (address->family == 4) {
        struct sockaddr_in *four = (struct sockaddr_in *)storage;
        four->sin_family = AF_INET;
        four->sin_port = htons(address->port);
        four->sin_addr.s_addr = htonl((uint32_t)address->low);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(address->port);
    six->sin6_scope_id = address->scope;
    writeNumber(address->high, six->sin6_addr.s6_addr);
    writeNumber(address->low, six->sin6_addr.s6_addr + 8);
    return sizeof *six;
}

static void fromKernel(const struct sockaddr_storage *storage, CLinux_address *address) {
    memset(address, 0, sizeof *address);
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)storage;
        address->family = 4;
        address->port = ntohs(four->sin_port);
        address->low = ntohl(four->sin_addr.s_addr);
    } else if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)storage;
        address->family = 6;
        address->port = ntohs(six->sin6_port);
        address->scope = six->sin6_scope_id;
        address->high = readNumber(six->sin6_addr.s6_addr);
        address->low = readNumber(six->sin6_addr.s6_addr + 8);
    }
}

// epoll.

int32_t CLinux_epollCreate(void) { ANSWER(CLinux_callEpollCreate, epoll_create1(EPOLL_CLOEXEC)); }

static int32_t control(int32_t set, int operation, int32_t descriptor, uint32_t events, uint64_t tag) {
    struct epoll_event event = {.events = events, .data.u64 = tag};
    ANSWER(CLinux_callEpollControl, epoll_ctl(set, operation, descriptor, &event));
}

int32_t CLinux_epollAdd(int32_t set, int32_t descriptor, uint32_t events, uint64_t tag) {
    return control(set, EPOLL_CTL_ADD, descriptor, events, tag);
}

int32_t CLinux_epollChange(int32_t set, int32_t descriptor, uint32_t events, uint64_t tag) {
    return control(set, EPOLL_CTL_MOD, descriptor, events, tag);
}

int32_t CLinux_epollRemove(int32_t set, int32_t descriptor) {
    return control(set, EPOLL_CTL_DEL, descriptor, 0, 0);
}

enum { roundCapacity = 256 };

static int32_t wait(int32_t set, struct epoll_event *events, int32_t capacity, int32_t milliseconds) {
    ANSWER(CLinux_callEpollWait, epoll_wait(set, events, capacity, milliseconds));
}

int32_t CLinux_epollCollect(int32_t set, CLinux_event *events, int32_t capacity, int32_t milliseconds) {
    struct epoll_event ready[roundCapacity];
    int32_t count = wait(set, ready, capacity < roundCapacity ? capacity : roundCapacity, milliseconds);
    for (int32_t index = 0; index < count; index++) {
        events[index].tag = ready[index].data.u64;
        events[index].events = ready[index].events;
    }
    return count;
}

int32_t CLinux_eventCreate(void) { ANSWER(CLinux_callOther, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int32_t CLinux_eventSignal(int32_t descriptor) {
    uint64_t one = 1;
    ANSWER(CLinux_callOther, (int32_t)write(descriptor, &one, sizeof one));
}

int32_t CLinux_eventTake(int32_t descriptor) {
    uint64_t count;
    ANSWER(CLinux_callOther, (int32_t)read(descriptor, &count, sizeof count));
}

int32_t CLinux_timerCreate(void) {
    ANSWER(CLinux_callOther, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int32_t CLinux_timerSet(int32_t descriptor, uint64_t nanoseconds) {
    struct itimerspec when = {
        .it_value = {
            .tv_sec = (time_t)(nanoseconds / 1000000000u),
            .tv_nsec = (long)(nanoseconds % 1000000000u),
        },
    };
    ANSWER(CLinux_callOther, timerfd_settime(descriptor, TFD_TIMER_ABSTIME, &when, NULL));
}

// Sockets.

int32_t CLinux_socket(uint16_t family) {
    ANSWER(CLinux_callSocket,
        socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

int32_t CLinux_bind(int32_t descriptor, const CLinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t size = toKernel(address, &storage);
    ANSWER(CLinux_callBind, bind(descriptor, (struct sockaddr *)&storage, size));
}

int32_t CLinux_listen(int32_t descriptor, int32_t backlog) {
    ANSWER(CLinux_callListen, listen(descriptor, backlog));
}

static int32_t acceptRaw(int32_t descriptor, struct sockaddr_storage *storage) {
    socklen_t size = sizeof *storage;
    ANSWER(CLinux_callAccept,
        accept4(descriptor, (struct sockaddr *)storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int32_t CLinux_accept(int32_t descriptor, CLinux_address *peer) {
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    int32_t result = acceptRaw(descriptor, &storage);
    fromKernel(&storage, peer);
    return result;
}

int32_t CLinux_connect(int32_t descriptor, const CLinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t size = toKernel(address, &storage);
    int failure = CLinux_planned(CLinux_callConnect);
    if (failure != 0) return -failure;
    if (connect(descriptor, (struct sockaddr *)&storage, size) == 0) return 0;
    // An interrupted connect goes on in the kernel, so asking again would only earn EALREADY.
    return errno == EINTR ? -EINPROGRESS : (int32_t)CLinux_refused(CLinux_callConnect, errno);
}

// The calls of every request go to the kernel directly: glibc's own are points where a thread may be cancelled, and in a
// process with threads they switch that on and off around each call, 60 instructions for what nobody does here.

int64_t CLinux_receive(int32_t descriptor, void *bytes, size_t count) {
    ANSWER(CLinux_callReceive, syscall(SYS_recvfrom, descriptor, bytes, count, 0, NULL, NULL));
}

int64_t CLinux_send(int32_t descriptor, const void *bytes, size_t count) {
    ANSWER(CLinux_callSend, syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, NULL, 0));
}

int64_t CLinux_sendTwo(
    int32_t descriptor, const void *first, size_t firstCount, const void *second, size_t secondCount) {
    // One piece is cheaper for the kernel to take over than a list of two.
    if (secondCount == 0) return CLinux_send(descriptor, first, firstCount);
    if (firstCount == 0) return CLinux_send(descriptor, second, secondCount);
    struct iovec pieces[2] = {
        {.iov_base = (void *)first, .iov_len = firstCount},
        {.iov_base = (void *)second, .iov_len = secondCount},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    ANSWER(CLinux_callSend, syscall(SYS_sendmsg, descriptor, &message, MSG_NOSIGNAL));
}

int32_t CLinux_shutdownWrite(int32_t descriptor) {
    ANSWER(CLinux_callShutdown, shutdown(descriptor, SHUT_WR));
}

int32_t CLinux_close(int32_t descriptor) {
    // Linux frees the descriptor even when it answers an error, so a close is never repeated.
    if (close(descriptor) == 0 || errno == EINTR) return 0;
    return (int32_t)CLinux_refused(CLinux_callClose, errno);
}

int32_t CLinux_resetAndClose(int32_t descriptor) {
    struct linger atOnce = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
    return CLinux_close(descriptor);
}

static int32_t nameRaw(int32_t descriptor, struct sockaddr_storage *storage, int peer) {
    socklen_t size = sizeof *storage;
    struct sockaddr *name = (struct sockaddr *)storage;
    ANSWER(CLinux_callName,
        peer ? getpeername(descriptor, name, &size) : getsockname(descriptor, name, &size));
}

static int32_t nameOf(int32_t descriptor, CLinux_address *address, int peer) {
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    int32_t result = nameRaw(descriptor, &storage, peer);
    fromKernel(&storage, address);
    return result;
}

int32_t CLinux_localAddress(int32_t descriptor, CLinux_address *address) {
    return nameOf(descriptor, address, 0);
}

int32_t CLinux_peerAddress(int32_t descriptor, CLinux_address *address) {
    return nameOf(descriptor, address, 1);
}

int32_t CLinux_takeError(int32_t descriptor) {
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) != 0) {
        return (int32_t)CLinux_refused(CLinux_callOption, errno);
    }
    return -code;
}

static int32_t setOption(int32_t descriptor, int level, int option, int value) {
    ANSWER(CLinux_callOption, setsockopt(descriptor, level, option, &value, sizeof value));
}

int32_t CLinux_setReuseAddress(int32_t descriptor) {
    return setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
}
int32_t CLinux_setReusePort(int32_t descriptor) { return setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1); }
int32_t CLinux_setOnlyIPv6(int32_t descriptor) { return setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1); }
int32_t CLinux_setNoDelay(int32_t descriptor) { return setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); }

// Clocks, signals, limits.

uint64_t CLinux_monotonicNanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void CLinux_wallClock(int64_t *seconds, int32_t *nanoseconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *seconds = now.tv_sec;
    *nanoseconds = (int32_t)now.tv_nsec;
}

int32_t CLinux_setSignalIgnored(int32_t number, int32_t ignored) {
    struct sigaction action = {.sa_handler = ignored ? SIG_IGN : SIG_DFL};
    ANSWER(CLinux_callOther, sigaction(number, &action, NULL));
}

int32_t CLinux_descriptorLimit(uint64_t *current, uint64_t *highest) {
    struct rlimit limit = {0, 0};
    int result = getrlimit(RLIMIT_NOFILE, &limit);
    *current = limit.rlim_cur;
    *highest = limit.rlim_max;
    return result == 0 ? 0 : -errno;
}

int32_t CLinux_setDescriptorLimit(uint64_t number) {
    struct rlimit limit = {0, 0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    limit.rlim_cur = number;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}

void CLinux_describe(int32_t code, char *text, size_t textCapacity, char *name, size_t nameCapacity) {
    const char *description = strerrordesc_np(code);
    const char *symbol = strerrorname_np(code);
    snprintf(text, textCapacity, "%s", description ? description : "Unknown error");
    snprintf(name, nameCapacity, "%s", symbol ? symbol : "");
}
