#define _GNU_SOURCE
#include "Answers.h"

#include <time.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t CLinux_openForAppend(const char *path, uint32_t mode) {
    ANSWER(CLinux_callOpen, open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, (mode_t)mode));
}

int32_t CLinux_duplicate(int32_t descriptor) {
    ANSWER(CLinux_callOpen, fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
}

int32_t CLinux_endsInsideLine(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) return 0;
    struct stat about;
    char last = '\n';
    if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        if (pread(descriptor, &last, 1, about.st_size - 1) != 1) last = '\n';
    }
    close(descriptor);
    return last != '\n';
}

int64_t CLinux_write(int32_t descriptor, const void *bytes, size_t count) {
    ANSWER(CLinux_callWrite, write(descriptor, bytes, CLinux_taken(count)));
}

int32_t CLinux_synchronizeData(int32_t descriptor) { ANSWER(CLinux_callSynchronize, fdatasync(descriptor)); }

int32_t CLinux_openRecords(const char *path, uint32_t mode) {
    ANSWER(CLinux_callOpen, open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, (mode_t)mode));
}

_Static_assert(CLinux_wouldBlock == EWOULDBLOCK, "as the system has it");

void CLinux_pause(int32_t milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

int32_t CLinux_lockFile(int32_t descriptor) { ANSWER(CLinux_callOther, flock(descriptor, LOCK_EX | LOCK_NB)); }

int64_t CLinux_fileByteCount(int32_t descriptor) {
    struct stat about;
    if (fstat(descriptor, &about) < 0) return -errno;
    return S_ISREG(about.st_mode) ? about.st_size : -EINVAL;
}

int64_t CLinux_readAt(int32_t descriptor, void *bytes, size_t count, int64_t offset) {
    ANSWER(CLinux_callOther, pread(descriptor, bytes, count, offset));
}

int32_t CLinux_truncate(int32_t descriptor, int64_t byteCount) {
    ANSWER(CLinux_callTruncate, ftruncate(descriptor, byteCount));
}

int32_t CLinux_rename(const char *from, const char *to) {
    ANSWER(CLinux_callOther, renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
}

int32_t CLinux_setMode(int32_t descriptor, uint32_t mode) {
    ANSWER(CLinux_callOther, fchmod(descriptor, (mode_t)mode));
}

int32_t CLinux_isNamed(int32_t descriptor, const char *path) {
    struct stat open, named;
    return fstat(descriptor, &open) == 0 && stat(path, &named) == 0 && open.st_dev == named.st_dev
        && open.st_ino == named.st_ino;
}

int64_t CLinux_pathOf(int32_t descriptor, char *path, size_t capacity) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ANSWER(CLinux_callOther, readlink(name, path, capacity));
}

int32_t CLinux_remove(const char *path) { ANSWER(CLinux_callOther, unlink(path)); }

int32_t CLinux_synchronizeFolder(const char *path) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return -errno;
    int32_t answer = fsync(descriptor) < 0 ? -errno : 0;
    close(descriptor);
    return answer;
}
