/* Counts the fsyncs of a process and its children, for scripts/bench: loaded with LD_PRELOAD, one shared file of counters.
 *
 * strace would slow the process down far more than an atomic increment does. Counters, eight bytes each, little-endian:
 * 0 logs (a SQLite -wal, PostgreSQL's pg_wal, RabbitMQ's quorum log), 1 all other files, 2 the bench's own fsync probe. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
