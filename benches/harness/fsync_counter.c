/* Counts the fsyncs of a process and its children, for scripts/bench: loaded with LD_PRELOAD, one shared file of counters.
 *
 * strace would slow the process down far more than an atomic increment does. Counters, eight bytes each, little-endian:
 * 0 logs (a SQLite -wal, PostgreSQL's pg_wal, RabbitMQ's quorum log), 1 all other files, 2 the bench's own fsync probe.
 *
 * A SQLite checkpoint syncs the -wal too: once before it copies, when nothing was written since the last sync, and once when the
 * log begins anew, when nothing but its header of 32 bytes was. Neither makes an acknowledged commit durable, so both count as
 * other files, with the checkpoint's own sync of the database. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG, OTHER, PROBE, COUNTERS };

static _Atomic uint64_t *counters;

__attribute__((constructor)) static void open_counters(void)
{
    const char *path = getenv("TRANSHIP_BENCH_FSYNCS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, COUNTERS * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        counters = map;
    close(fd);
}

/* SQLite logs, and how many bytes were written to each since its last sync: by any connection, so by inode. */
enum { LOGS_MAX = 64, HEADER_BYTES = 32 };
static struct { _Atomic uint64_t inode, unsynced; } logs[LOGS_MAX];

static _Atomic uint64_t *unsynced_of(int fd, int add)
{
    struct stat at;
    /* Most servers have none: they are not to pay for it. */
    if ((!add && logs[0].inode == 0) || fstat(fd, &at))
        return NULL;
    for (int n = 0; n < LOGS_MAX; n++) {
        uint64_t none = 0;
        if (logs[n].inode == at.st_ino)
            return &logs[n].unsynced;
        if (add && atomic_compare_exchange_strong(&logs[n].inode, &none, at.st_ino))
            return &logs[n].unsynced;
        if (!add && logs[n].inode == 0)
            return NULL;
    }
    return NULL;
}

static void written(int fd, ssize_t bytes)
{
    _Atomic uint64_t *unsynced = counters && bytes > 0 ? unsynced_of(fd, 0) : NULL;
    if (unsynced)
        *unsynced += bytes;
}

/* A log is known from its first sync on, which counts. */
static int is_checkpoint(int fd)
{
    int is_known = unsynced_of(fd, 0) != NULL;
    _Atomic uint64_t *unsynced = unsynced_of(fd, 1);
    uint64_t bytes = unsynced ? atomic_exchange(unsynced, 0) : HEADER_BYTES + 1;
    return is_known && bytes <= HEADER_BYTES;
}

static void count(int fd)
{
    char link[32], path[512];
    if (!counters)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    size_t end = strlen(path);
    int kind = OTHER;
    if (strstr(path, "fsync-probe"))
        kind = PROBE;
    else if (strstr(path, "/pg_wal/") || (end > 4 && (!strcmp(path + end - 4, "-wal") || !strcmp(path + end - 4, ".wal"))))
        kind = LOG;
    if (kind == LOG && !strstr(path, "/pg_wal/") && is_checkpoint(fd))
        kind = OTHER;
    counters[kind]++;
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    count(fd);
    return real(fd);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    count(fd);
    return real(fd);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    ssize_t done = real(fd, bytes, length);
    written(fd, done);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    ssize_t done = real(fd, bytes, length, at);
    written(fd, done);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    ssize_t done = real(fd, bytes, length, at);
    written(fd, done);
    return done;
}
