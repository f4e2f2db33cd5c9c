// Kernel calls for Loop. Every function answers zero or more on success and -errno on failure, so that no
// Swift code runs between the call and the reading of errno. EINTR is retried here; EBADF and EFAULT mean a
// bug in the caller (a descriptor used after its close), and trap.
#ifndef GATEHOUSE_CLINUX_H
#define GATEHOUSE_CLINUX_H

#include <stddef.h>
#include <stdint.h>

// Bits of an epoll set, as <sys/epoll.h> has them (checked by assertions in CLinux.c).
enum {
    CLinux_readable = 0x001,
    CLinux_writable = 0x004,
    CLinux_error = 0x008,
    CLinux_hangUp = 0x010,
    CLinux_peerHangUp = 0x2000,
};

// One ready descriptor. Not packed, unlike struct epoll_event, so that Swift reads it aligned.
typedef struct {
    uint64_t tag;
    uint32_t events;
} CLinux_event;

// An internet address. `high` and `low` are the sixteen address bytes read as numbers; IPv4 is in the low
// half of `low`. `family` is 4, 6 or 0 (something else).
typedef struct {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    uint16_t family;
} CLinux_address;

int32_t CLinux_epollCreate(void);
int32_t CLinux_epollAdd(int32_t set, int32_t descriptor, uint32_t events, uint64_t tag);
int32_t CLinux_epollChange(int32_t set, int32_t descriptor, uint32_t events, uint64_t tag);
int32_t CLinux_epollRemove(int32_t set, int32_t descriptor);
int32_t CLinux_epollCollect(int32_t set, CLinux_event *events, int32_t capacity, int32_t milliseconds);

// A counter in the kernel that makes a set readable (eventfd): raised from any thread, taken by the set's owner.
int32_t CLinux_eventCreate(void);
int32_t CLinux_eventSignal(int32_t descriptor);
int32_t CLinux_eventTake(int32_t descriptor);

// A timer that makes a set readable (timerfd) from the moment it was set to, on the clock of
// CLinux_monotonicNanoseconds, until it is set again; 0 takes the moment back.
int32_t CLinux_timerCreate(void);
int32_t CLinux_timerSet(int32_t descriptor, uint64_t nanoseconds);

int32_t CLinux_socket(uint16_t family);
int32_t CLinux_bind(int32_t descriptor, const CLinux_address *address);
int32_t CLinux_listen(int32_t descriptor, int32_t backlog);
int32_t CLinux_accept(int32_t descriptor, CLinux_address *peer);
int32_t CLinux_connect(int32_t descriptor, const CLinux_address *address);
int64_t CLinux_receive(int32_t descriptor, void *bytes, size_t count);
int64_t CLinux_send(int32_t descriptor, const void *bytes, size_t count);
int64_t CLinux_sendTwo(
    int32_t descriptor, const void *first, size_t firstCount, const void *second, size_t secondCount);
int32_t CLinux_shutdownWrite(int32_t descriptor);
int32_t CLinux_close(int32_t descriptor);
int32_t CLinux_resetAndClose(int32_t descriptor);
int32_t CLinux_localAddress(int32_t descriptor, CLinux_address *address);
int32_t CLinux_peerAddress(int32_t descriptor, CLinux_address *address);
int32_t CLinux_takeError(int32_t descriptor);

// Socket options of <sys/socket.h>, <netinet/in.h> and <netinet/tcp.h>.
int32_t CLinux_setReuseAddress(int32_t descriptor);
int32_t CLinux_setReusePort(int32_t descriptor);
int32_t CLinux_setOnlyIPv6(int32_t descriptor);
int32_t CLinux_setNoDelay(int32_t descriptor);

int32_t CLinux_openForAppend(const char *path, uint32_t mode);
// A second descriptor of what `descriptor` is open on, closed on exec.
int32_t CLinux_duplicate(int32_t descriptor);
// 1 when the file at `path` is regular and its last byte is not a line feed, else 0.
int32_t CLinux_endsInsideLine(const char *path);
int64_t CLinux_write(int32_t descriptor, const void *bytes, size_t count);
int32_t CLinux_synchronizeData(int32_t descriptor);
// A file that one process alone appends whole records to: opened for reading too.
int32_t CLinux_openRecords(const char *path, uint32_t mode);
// Keeps other processes from the same; -EWOULDBLOCK when one has it.
int32_t CLinux_lockFile(int32_t descriptor);
enum { CLinux_wouldBlock = 11 };
// Waits for so many milliseconds.
void CLinux_pause(int32_t milliseconds);
// The bytes of a regular file, -EINVAL for what is none.
int64_t CLinux_fileByteCount(int32_t descriptor);
int64_t CLinux_readAt(int32_t descriptor, void *bytes, size_t count, int64_t offset);
int32_t CLinux_truncate(int32_t descriptor, int64_t byteCount);
// Another name that no file has yet; -EEXIST when one has.
int32_t CLinux_rename(const char *from, const char *to);
int32_t CLinux_setMode(int32_t descriptor, uint32_t mode);
// 1 when the path names what `descriptor` is open on, else 0.
int32_t CLinux_isNamed(int32_t descriptor, const char *path);
// The path of what `descriptor` is open on, as /proc has it; the byte count, not more than `capacity`.
int64_t CLinux_pathOf(int32_t descriptor, char *path, size_t capacity);
int32_t CLinux_remove(const char *path);
// Makes what was done to names in a folder last.
int32_t CLinux_synchronizeFolder(const char *path);

uint64_t CLinux_monotonicNanoseconds(void);
void CLinux_wallClock(int64_t *seconds, int32_t *nanoseconds);

// Ignores (1) or restores (0) the default action of a signal.
int32_t CLinux_setSignalIgnored(int32_t number, int32_t ignored);
// How many descriptors this process may open, and how many it may ask for.
int32_t CLinux_descriptorLimit(uint64_t *current, uint64_t *highest);
int32_t CLinux_setDescriptorLimit(uint64_t limit);

// Copies the text and the name of an errno value, both cut to their capacity and ended by NUL.
void CLinux_describe(int32_t code, char *text, size_t textCapacity, char *name, size_t nameCapacity);

// Kinds of calls, for planned failures and for the message of a trap.
typedef enum {
    CLinux_callNone = 0,
    CLinux_callEpollCreate,
    CLinux_callEpollControl,
    CLinux_callEpollWait,
    CLinux_callSocket,
    CLinux_callBind,
    CLinux_callListen,
    CLinux_callAccept,
    CLinux_callConnect,
    CLinux_callReceive,
    CLinux_callSend,
    CLinux_callOption,
    CLinux_callShutdown,
    CLinux_callClose,
    CLinux_callName,
    CLinux_callOpen,
    CLinux_callWrite,
    CLinux_callSynchronize,
    CLinux_callTruncate,
    CLinux_callOther,
} CLinux_call;

// Debug builds only: the nth call of that kind from now on answers -code without reaching the kernel; nth 0
// takes the plan back. `everywhere` 0 counts calls of the calling thread, 1 those of all threads. Answers 1,
// or 0 in a release build, where nothing is planned.
int32_t CLinux_failNth(int32_t everywhere, CLinux_call call, int32_t nth, int32_t code);

// Debug builds only: of the calling thread's nth write from now on a half is taken, and from then on each write and
// each truncation answers -code; code 0 takes the plan back. Answers as CLinux_failNth does.
int32_t CLinux_tearNthWrite(int32_t nth, int32_t code);

#endif
