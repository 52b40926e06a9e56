// What libraries that come between a process and its files have in common: where the call really goes, which paths are meant, and
// every way there is to open a file. Included once, by a source that defines `open_any`.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

// The folder that is meant; nothing is where it is empty.
static char root[PATH_MAX];
static size_t root_len;
static void mean(const char *where) {
    if (where && realpath(where, root)) root_len = strlen(root);
}

static int link_of(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = 0;
    return 1;
}

// The path below the root, or NULL where it is not below it. Knows `.` and `//`, which callers write, and gives up on `..`.
static const char *below(int folder, const char *path, char out[PATH_MAX]) {
    char base[PATH_MAX] = "", whole[2 * PATH_MAX];
    if (!root_len || !path) return NULL;
    int kept = errno;
    if (path[0] != '/' && !(folder == AT_FDCWD ? getcwd(base, sizeof base) != NULL : link_of(folder, base))) {
        errno = kept;
        return NULL;
    }
    errno = kept;
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    size_t n = 0;
    for (char *saved, *part = strtok_r(whole, "/", &saved); part; part = strtok_r(NULL, "/", &saved)) {
        if (strcmp(part, ".") == 0) continue;
        if (strcmp(part, "..") == 0 || n + strlen(part) + 2 > PATH_MAX) return NULL;
        out[n++] = '/';
        memcpy(out + n, part, strlen(part));
        n += strlen(part);
    }
    out[n] = 0;
    if (strncmp(out, root, root_len) != 0 || (out[root_len] != '/' && out[root_len] != 0)) return NULL;
    return out[root_len] ? out + root_len + 1 : out + root_len;
}

// Where the next byte is written.
static off_t position(int fd, const struct stat *st) {
    return REAL(fcntl)(fd, F_GETFL) & O_APPEND ? st->st_size : lseek(fd, 0, SEEK_CUR);
}

static int open_any(int folder, const char *path, int flags, mode_t mode);

#define MODE(flags, last)                                             \
    mode_t mode = 0;                                                  \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {    \
        va_list rest;                                                 \
        va_start(rest, last);                                         \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }
int open(const char *path, int flags, ...) { MODE(flags, flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags, flags) return open_any(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags, flags) return open_any(folder, path, flags, mode); }

// Copies inside the kernel are refused, as some file systems do: then they are made with reads and writes.
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags) {
    (void)in, (void)from, (void)out, (void)to, (void)len, (void)flags;
    errno = ENOSYS;
    return -1;
}
static int is_meant(int fd);
ssize_t sendfile64(int out, int in, off64_t *from, size_t len) {
    if (!is_meant(out)) return REAL(sendfile64)(out, in, from, len);
    errno = EINVAL;
    return -1;
}
