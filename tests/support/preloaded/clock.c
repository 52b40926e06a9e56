// Steps a process's wall clock, and no other: adds to what the system says it is a number of microseconds that is read from a file with
// every call.
//
// Loaded into the built binary by LD_PRELOAD. The monotonic clock goes on as it is, as it does when an operator or a time server sets
// the clock. CLOCK_OFFSET names the file: the number twice, so that one that is only half written is not taken.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MICROS 1000000

static const volatile int64_t *_Atomic offset;
static int64_t none[2];

static const volatile int64_t *found(void) {
    const volatile int64_t *known = offset;
    if (known) return known;
    const char *path = getenv("CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    // Two threads that come first map it twice, which is no harm.
    known = mapped == MAP_FAILED ? none : mapped;
    offset = known;
    return known;
}

static int64_t micros_ahead(void) {
    const volatile int64_t *both = found();
    for (;;) {
        int64_t one = both[0];
        if (both[1] == one) return one;
    }
}

static int (*real_clock_gettime(void))(clockid_t, struct timespec *) {
    static __typeof__(&clock_gettime) _Atomic known;
    if (!known) known = (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    if (!known) abort();
    return known;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = real_clock_gettime()(clock, at);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    int64_t micros = (int64_t)at->tv_sec * MICROS + at->tv_nsec / 1000 + micros_ahead();
    at->tv_nsec = micros % MICROS * 1000 + at->tv_nsec % 1000;
    at->tv_sec = micros / MICROS;
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
