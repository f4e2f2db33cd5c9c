// What all wrappers share: failures that tests plan, and answers as -errno.
#pragma once

#include "CLinux.h"

#include <errno.h>

#ifdef DEBUG
// The code by which a call of this kind is to fail now, or 0.
int CLinux_planned(CLinux_call call);

// How much of what is written the kernel is to be given now: all, or a half of a piece that a test has torn.
size_t CLinux_taken(size_t byteCount);
#else
static inline int CLinux_planned(CLinux_call call) {
    (void)call;
    return 0;
}

static inline size_t CLinux_taken(size_t byteCount) { return byteCount; }
#endif

// The answer to a call that failed with `code`; traps on those that are bugs of the caller.
int64_t CLinux_refused(CLinux_call call, int code);

#define ANSWER(call, expression) \
    do { \
        int failure = CLinux_planned(call); \
        if (__builtin_expect(failure != 0, 0)) return -failure; \
        int64_t result; \
        do { \
            result = (expression); \
        } while (__builtin_expect(result < 0, 0) && errno == EINTR); \
        if (__builtin_expect(result < 0, 0)) { \
            if (errno == EAGAIN) return -EAGAIN; \
            return CLinux_refused(call, errno); \
        } \
        return result; \
    } while (0)
