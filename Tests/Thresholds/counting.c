// Preloaded into a program, it counts what the program asks of malloc, and Swift's retains and releases, while it is told to.
//
// COUNTING_FILE is a file that both sides map: `struct ledger`, which counting.py reads. Counts are kept by dispatch queue
// (by thread where none runs), since that is what a loop is: libdispatch may run it on another thread each time. Told to trace,
// it keeps the callers too, which takes a hundred times as long.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum kind { MALLOC, CALLOC, REALLOC, ALIGNED, FREE, RETAIN, RELEASE, KIND_COUNT };
enum { OWNER_COUNT = 64, NAME_BYTES = 64, STACK_COUNT = 16384, DEPTH = 24 };

struct owner {
    char name[NAME_BYTES];
    _Atomic uint64_t counts[KIND_COUNT];
};

struct stack {
    uint64_t hash, kind, depth, count;
    uint64_t frames[DEPTH];
};

struct ledger {
    // Written by the other side. A bit of `traced` for each kind whose callers are kept.
    _Atomic uint64_t isCounting, traced;
    // Set when everything is in place.
    _Atomic uint64_t isReady;
    _Atomic uint64_t ownerCount, stackCount, lostStackCount;
    uint64_t reserved[2];
    struct owner owners[OWNER_COUNT];
    struct stack stacks[STACK_COUNT];
};

static struct ledger *ledger;
static const char *(*queueLabel)(void *);
static atomic_flag ownersLock = ATOMIC_FLAG_INIT, stacksLock = ATOMIC_FLAG_INIT;
static __thread struct {
    const void *key;
    struct owner *owner;
    bool isInside;
} here __attribute__((tls_model("initial-exec")));

// MARK: - Whose count it is

static void lock(atomic_flag *flag) {
    while (atomic_flag_test_and_set_explicit(flag, memory_order_acquire)) {}
}

static void unlock(atomic_flag *flag) { atomic_flag_clear_explicit(flag, memory_order_release); }

static struct owner *ownerNamed(const char *name) {
    lock(&ownersLock);
    uint64_t count = ledger->ownerCount, place = 0;
    while (place < count && strncmp(ledger->owners[place].name, name, NAME_BYTES - 1) != 0) place++;
    if (place == count && count < OWNER_COUNT) {
        strncpy(ledger->owners[place].name, name, NAME_BYTES - 1);
        ledger->ownerCount = count + 1;
    }
    unlock(&ownersLock);
    // Whoever comes when the table is full is counted with the last one in it.
    return &ledger->owners[place < OWNER_COUNT ? place : OWNER_COUNT - 1];
}

static struct owner *currentOwner(void) {
    const char *label = queueLabel ? queueLabel(NULL) : "";
    // A label stays where it is as long as its queue lives, and queues here live as long as the program.
    if (here.owner && here.key == label) return here.owner;
    char thread[17] = "";
    const char *name = label;
    if (label[0] == 0 || strncmp(label, "com.apple.", 10) == 0) {
        prctl(PR_GET_NAME, thread);
        name = thread;
    }
    here.key = label;
    here.owner = ownerNamed(name);
    return here.owner;
}

// MARK: - Counting

static __attribute__((noinline)) void trace(enum kind kind) {
    // This function, the one that calls it and the one that stands for the program's come first.
    enum { OWN = 3 };
    void *frames[DEPTH + OWN];
    int found = backtrace(frames, DEPTH + OWN) - OWN;
    if (found <= 0) return;
    uint64_t hash = 1469598103934665603u ^ kind;
    for (int place = 0; place < found; place++) hash = (hash ^ (uint64_t)(uintptr_t)frames[OWN + place]) * 1099511628211u;
    if (hash == 0) hash = 1;
    lock(&stacksLock);
    uint64_t slot = hash % STACK_COUNT, tries = 0;
    while (ledger->stacks[slot].hash != 0 && ledger->stacks[slot].hash != hash && tries++ < STACK_COUNT) slot = (slot + 1) % STACK_COUNT;
    struct stack *stack = &ledger->stacks[slot];
    if (stack->hash == 0) {
        stack->hash = hash;
        stack->kind = kind;
        stack->depth = (uint64_t)found;
        for (int place = 0; place < found; place++) stack->frames[place] = (uint64_t)(uintptr_t)frames[OWN + place];
        ledger->stackCount++;
    }
    if (stack->hash == hash) stack->count++; else ledger->lostStackCount++;
    unlock(&stacksLock);
}

static __attribute__((noinline)) void countHere(enum kind kind) {
    if (here.isInside) return;
    here.isInside = true;
    int saved = errno;
    atomic_fetch_add_explicit(&currentOwner()->counts[kind], 1, memory_order_relaxed);
    if (ledger->traced & (1u << kind)) trace(kind);
    errno = saved;
    here.isInside = false;
}

static inline void note(enum kind kind) {
    if (ledger && atomic_load_explicit(&ledger->isCounting, memory_order_relaxed)) countHere(kind);
}

// MARK: - malloc and its like

// glibc's own names, so that nothing has to be looked up before the first call.
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t size) {
    note(MALLOC);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    note(CALLOC);
    return __libc_calloc(count, size);
}

void *realloc(void *start, size_t size) {
    note(REALLOC);
    return __libc_realloc(start, size);
}

void *memalign(size_t alignment, size_t size) {
    note(ALIGNED);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    note(ALIGNED);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **start, size_t alignment, size_t size) {
    note(ALIGNED);
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
    int saved = errno;
    void *found = __libc_memalign(alignment, size);
    errno = saved;
    if (!found) return ENOMEM;
    *start = found;
    return 0;
}

void free(void *start) {
    if (start) note(FREE);
    __libc_free(start);
}

// MARK: - Swift

// Calls within the Swift runtime's own library do not come by here; callgrind's counts have them.
static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

#define ONE(kind, name)                                                                                                \
    void *name(void *object) {                                                                                         \
        static void *(*real)(void *);                                                                                  \
        if (!real) real = (void *(*)(void *))next(#name);                                                              \
        note(kind);                                                                                                    \
        return real(object);                                                                                           \
    }
#define SOME(kind, name)                                                                                               \
    void *name(void *object, uint32_t count) {                                                                         \
        static void *(*real)(void *, uint32_t);                                                                        \
        if (!real) real = (void *(*)(void *, uint32_t))next(#name);                                                    \
        note(kind);                                                                                                    \
        return real(object, count);                                                                                    \
    }

// Releases answer nothing; what they leave in the register of an answer is not looked at.
ONE(RETAIN, swift_retain)
ONE(RETAIN, swift_bridgeObjectRetain)
SOME(RETAIN, swift_retain_n)
SOME(RETAIN, swift_bridgeObjectRetain_n)
ONE(RELEASE, swift_release)
ONE(RELEASE, swift_bridgeObjectRelease)
SOME(RELEASE, swift_release_n)
SOME(RELEASE, swift_bridgeObjectRelease_n)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COUNTING_FILE");
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0 || ftruncate(descriptor, sizeof *ledger) != 0) return;
    void *start = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (start == MAP_FAILED) return;
    // The first backtrace loads a library, which is not to be counted.
    void *frame;
    backtrace(&frame, 1);
    queueLabel = (const char *(*)(void *))dlsym(RTLD_DEFAULT, "dispatch_queue_get_label");
    ledger = start;
    ledger->isReady = 1;
}
