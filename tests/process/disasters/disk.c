// A disk that is full or read-only, for the process it is loaded into by LD_PRELOAD.
//
// What is meant are the files below DISK_ROOT, as long as there is a file DISK_STATE. It holds
//
//     full N      so many bytes still fit, counted from when this was first read; a new name takes one of them
//     stuffed     nothing fits, and nothing can be written over: on some disks that takes room, too
//     read-only   nothing can be changed or opened for that
//
// As on most disks, what is there can be written over, moved and removed when it is full, and a write of which only a part fits is a
// short one. It is asked at each call, so a test fills the disk and makes room under a running service.

#include "../../support/preloaded/files.h"

enum state { WELL, FULL, STUFFED, READ_ONLY };

static const char *state_path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last_read[64];
static long long room;

__attribute__((constructor)) static void begin(void) {
    state_path = getenv("DISK_STATE");
    if (state_path) mean(getenv("DISK_ROOT"));
}

// Under the lock.
static enum state now(void) {
    if (!root_len) return WELL;
    int kept = errno, file = REAL(open64)(state_path, O_RDONLY | O_CLOEXEC);
    errno = kept;
    if (file < 0) {
        last_read[0] = 0;
        return WELL;
    }
    char text[sizeof last_read] = {0};
    ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    errno = kept;
    if (n <= 0) return WELL;
    if (strcmp(text, last_read) != 0) {
        memcpy(last_read, text, sizeof text);
        room = strncmp(text, "full ", 5) == 0 ? atoll(text + 5) : 0;
    }
    return text[0] == 'f' ? FULL : text[0] == 's' ? STUFFED : READ_ONLY;
}

static int path_is_below(int folder, const char *path) {
    char whole[PATH_MAX];
    return below(folder, path, whole) != NULL;
}

static int file_is_below(int fd, struct stat *st) {
    char path[PATH_MAX];
    int kept = errno;
    int is = root_len && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && link_of(fd, path) && path_is_below(AT_FDCWD, path);
    errno = kept;
    return is;
}
static int is_meant(int fd) {
    struct stat st;
    return file_is_below(fd, &st);
}

// What keeps something of this size from being made; 0 where nothing does.
static int refused(long long bytes) {
    pthread_mutex_lock(&lock);
    int error = 0;
    switch (now()) {
    case WELL: break;
    case READ_ONLY: error = EROFS; break;
    case STUFFED:
    case FULL:
        if (room < bytes) error = ENOSPC;
        else room -= bytes;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

// How much of `len` bytes at `at` can be written; -1 with errno where it is nothing.
static ssize_t fits(const struct stat *st, off_t at, size_t len) {
    pthread_mutex_lock(&lock);
    enum state state = now();
    long long grows = (long long)at + (long long)len - (long long)st->st_size;
    if (state == READ_ONLY || state == STUFFED) {
        errno = state == STUFFED ? ENOSPC : EROFS;
        len = 0;
    } else if (state == FULL && grows > 0) {
        long long fit = grows < room ? grows : room;
        room -= fit;
        long long left = (long long)len - (grows - fit);
        if (left <= 0) errno = ENOSPC;
        len = left > 0 ? (size_t)left : 0;
    }
    pthread_mutex_unlock(&lock);
    return len > 0 ? (ssize_t)len : -1;
}

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    struct stat st;
    if (path_is_below(folder, path)) {
        int kept = errno, nameless = (flags & O_TMPFILE) == O_TMPFILE;
        int is_new = nameless || ((flags & O_CREAT) && fstatat(folder, path, &st, 0) != 0);
        int changes = is_new || (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
        errno = changes ? refused(is_new ? 1 : 0) : 0;
        if (errno) return -1;
        errno = kept;
    }
    return REAL(openat64)(folder, path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t len) {
    struct stat st;
    if (len > 0 && file_is_below(fd, &st)) {
        ssize_t fit = fits(&st, position(fd, &st), len);
        if (fit < 0) return -1;
        len = (size_t)fit;
    }
    return REAL(write)(fd, bytes, len);
}

static ssize_t pwrite_any(int fd, const void *bytes, size_t len, off_t at) {
    struct stat st;
    if (len > 0 && file_is_below(fd, &st)) {
        ssize_t fit = fits(&st, at, len);
        if (fit < 0) return -1;
        len = (size_t)fit;
    }
    return REAL(pwrite64)(fd, bytes, len, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite_any(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) { return pwrite_any(fd, bytes, len, at); }

// The first part that is not empty: a short write is one that callers must know.
static const struct iovec *first_of(const struct iovec *parts, int count) {
    while (count > 0 && parts->iov_len == 0) parts++, count--;
    return count > 0 ? parts : NULL;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat st;
    const struct iovec *first = first_of(parts, count);
    if (first && file_is_below(fd, &st)) return write(fd, first->iov_base, first->iov_len);
    return REAL(writev)(fd, parts, count);
}
static ssize_t pwritev_any(int fd, const struct iovec *parts, int count, off_t at) {
    struct stat st;
    const struct iovec *first = first_of(parts, count);
    if (first && file_is_below(fd, &st)) return pwrite_any(fd, first->iov_base, first->iov_len, at);
    return REAL(pwritev64)(fd, parts, count, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev_any(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev_any(fd, parts, count, at); }

static int grows_to(int fd, off_t len) {
    struct stat st;
    if (!file_is_below(fd, &st)) return 0;
    return refused(len > st.st_size ? len - st.st_size : 0);
}
static int set_len(int fd, off_t len) {
    int error = grows_to(fd, len);
    if (!error) return REAL(ftruncate64)(fd, len);
    errno = error;
    return -1;
}
int ftruncate(int fd, off_t len) { return set_len(fd, len); }
int ftruncate64(int fd, off64_t len) { return set_len(fd, len); }

int fallocate64(int fd, int mode, off64_t at, off64_t len) {
    int error = grows_to(fd, at + len);
    if (!error) return REAL(fallocate64)(fd, mode, at, len);
    errno = error;
    return -1;
}
int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }
int posix_fallocate64(int fd, off64_t at, off64_t len) {
    int error = grows_to(fd, at + len);
    return error ? error : REAL(posix_fallocate64)(fd, at, len);
}
int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }

// Whether a change of a name may be made, which takes so much room.
static int may(int folder, const char *path, long long bytes) {
    int error = path_is_below(folder, path) ? refused(bytes) : 0;
    if (error) errno = error;
    return !error;
}
int mkdirat(int folder, const char *path, mode_t mode) {
    struct stat st;
    // One that is there is said to be there, whatever the disk is like.
    int bytes = fstatat(folder, path, &st, 0) == 0 ? 0 : 1;
    return bytes == 0 || may(folder, path, bytes) ? REAL(mkdirat)(folder, path, mode) : -1;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
int unlinkat(int folder, const char *path, int flags) { return may(folder, path, 0) ? REAL(unlinkat)(folder, path, flags) : -1; }
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int renameat(int a, const char *from, int b, const char *to) { return may(b, to, 0) && may(a, from, 0) ? REAL(renameat)(a, from, b, to) : -1; }
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    return may(b, to, 1) ? REAL(linkat)(a, from, b, to, flags) : -1;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
