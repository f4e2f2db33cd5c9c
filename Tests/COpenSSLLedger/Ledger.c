#include "COpenSSLLedger.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { prefix = 16 };

static int isInstalled;
static _Thread_local long byteCount, allocationCount;

static void *allocate(size_t count, const char *file, int line) {
    char *block = malloc(count + prefix);
    if (count == 0 || block == NULL) {
        free(block);
        return NULL;
    }
    memcpy(block, &count, sizeof count);
    byteCount += count + prefix;
    allocationCount += 1;
    return block + prefix;
}

static size_t countOf(const void *block) {
    size_t count;
    memcpy(&count, (const char *)block - prefix, sizeof count);
    return count;
}

static void giveBack(void *block, const char *file, int line) {
    if (block == NULL) return;
    byteCount -= countOf(block) + prefix;
    free((char *)block - prefix);
}

static void *reallocate(void *old, size_t count, const char *file, int line) {
    void *new = allocate(count, file, line);
    if (old == NULL || (new == NULL && count > 0)) return new;
    if (new != NULL) memcpy(new, old, countOf(old) < count ? countOf(old) : count);
    giveBack(old, file, line);
    return new;
}

// Before every other constructor: OpenSSL takes such functions only until its first call.
__attribute__((constructor(101))) static void install(void) {
    isInstalled = CRYPTO_set_mem_functions(allocate, reallocate, giveBack);
}

int COpenSSLLedger_isInstalled(void) { return isInstalled; }
long COpenSSLLedger_byteCount(void) { return byteCount; }
long COpenSSLLedger_allocationCount(void) { return allocationCount; }
