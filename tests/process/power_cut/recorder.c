// What a process does to the files below POWER_ROOT, written down in POWER_JOURNAL in the order it happened.
//
// Loaded into the built binary by LD_PRELOAD. Every call that changes a file or a folder goes through here and is appended to the
// journal once it is done; a sync is only written down, and costs nothing: what it promises is the business of who reads the journal.
// One lock makes the journal's order the order of the changes.
//
// A rename that does not go through the C library (`renameat2`) is seen when its folder is synced, which writes down what is in it.
//
// Not written down: SQLite's shared memory (`-shm`), which is rebuilt after a power cut, and what another process writes.

#include "../../support/preloaded/files.h"

#include <dirent.h>

enum { CREATE = 1, MKDIR, RMDIR, WRITE, SETLEN, SYNC, SYNCDIR, RENAME, LINK, UNLINK, KNOWN };

#define FILES_MAX 65536

static int journal = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// Files and folders by their inode; a new one may take the inode of one that is gone.
static struct { dev_t dev; ino_t ino; uint64_t id; } files[FILES_MAX];
static size_t file_count;
static uint64_t last_id;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("POWER_JOURNAL");
    if (path) mean(getenv("POWER_ROOT"));
    if (!root_len) return;
    journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *bytes, size_t len) {
    const char *at = bytes;
    while (len > 0) {
        ssize_t done = REAL(write)(journal, at, len);
        if (done < 0 && errno == EINTR) continue;
        // A journal with a hole would prove nothing.
        if (done <= 0) abort();
        at += done;
        len -= (size_t)done;
    }
}

// kind, id, number, length of the text, length of the bytes; then both. Little endian.
static void note(uint8_t kind, uint64_t id, uint64_t number, const char *text, const void *bytes, uint64_t len) {
    int kept = errno;
    unsigned char head[33] = {kind};
    uint64_t words[4] = {id, number, text ? strlen(text) : 0, len};
    memcpy(head + 1, words, sizeof words);
    // The head last would let a reader see half an entry; it waits for whole ones.
    put(head, sizeof head);
    if (text) put(text, strlen(text));
    if (len) put(bytes, len);
    errno = kept;
}

// The path below the root, where it is one to write down.
static const char *noted(int folder, const char *path, char out[PATH_MAX]) {
    const char *inside = journal < 0 ? NULL : below(folder, path, out);
    size_t len = inside ? strlen(inside) : 0;
    return len >= 4 && strcmp(inside + len - 4, "-shm") == 0 ? NULL : inside;
}

static uint64_t *slot(const struct stat *st) {
    for (size_t i = file_count; i-- > 0;)
        if (files[i].ino == st->st_ino && files[i].dev == st->st_dev) return &files[i].id;
    return NULL;
}

static uint64_t id_of(int fd, struct stat *st) {
    if (journal < 0 || fd == journal || fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) return 0;
    uint64_t *id = slot(st);
    return id ? *id : 0;
}

static uint64_t *slot_for(const struct stat *st) {
    uint64_t *id = slot(st);
    if (id) return id;
    if (file_count == FILES_MAX) abort();
    files[file_count].dev = st->st_dev;
    files[file_count].ino = st->st_ino;
    files[file_count].id = 0;
    return &files[file_count++].id;
}

static void opened(int fd, const char *path, int existed, int flags, off_t size_before) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return;
    uint64_t *id = slot_for(&st);
    if (!existed) {
        *id = ++last_id;
        note(CREATE, *id, 0, path, NULL, 0);
    } else if (*id == 0) {
        *id = ++last_id;
        note(KNOWN, *id, 0, path, NULL, 0);
    }
    if (existed && (flags & O_TRUNC) && size_before > 0) note(SETLEN, *id, 0, NULL, NULL, 0);
}

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *inside = noted(folder, path, buffer);
    if (!inside) return REAL(openat64)(folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat before;
    int existed = (flags & O_TMPFILE) != O_TMPFILE && fstatat(folder, path, &before, 0) == 0;
    int fd = REAL(openat64)(folder, path, flags, mode);
    if (fd >= 0) {
        int kept = errno;
        opened(fd, (flags & O_TMPFILE) == O_TMPFILE ? "" : inside, existed, flags, existed ? before.st_size : 0);
        errno = kept;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t id = id_of(fd, &st);
    if (!id) {
        pthread_mutex_unlock(&lock);
        return REAL(write)(fd, bytes, len);
    }
    uint64_t at = (uint64_t)position(fd, &st);
    ssize_t done = REAL(write)(fd, bytes, len);
    if (done > 0) note(WRITE, id, at, NULL, bytes, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

static void note_parts(uint64_t id, uint64_t at, const struct iovec *parts, int count, ssize_t done) {
    for (int i = 0; i < count && done > 0; i++) {
        size_t len = parts[i].iov_len < (size_t)done ? parts[i].iov_len : (size_t)done;
        if (len) note(WRITE, id, at, NULL, parts[i].iov_base, len);
        at += len;
        done -= (ssize_t)len;
    }
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t id = id_of(fd, &st);
    if (!id) {
        pthread_mutex_unlock(&lock);
        return REAL(writev)(fd, parts, count);
    }
    uint64_t at = (uint64_t)position(fd, &st);
    ssize_t done = REAL(writev)(fd, parts, count);
    note_parts(id, at, parts, count, done);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t pwrite_any(int fd, const void *bytes, size_t len, off_t at) {
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t id = id_of(fd, &st);
    ssize_t done = REAL(pwrite64)(fd, bytes, len, at);
    if (id && done > 0) note(WRITE, id, (uint64_t)at, NULL, bytes, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite_any(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) { return pwrite_any(fd, bytes, len, at); }

static int set_len(int fd, off_t len) {
    struct stat st;
    pthread_mutex_lock(&lock);
    uint64_t id = id_of(fd, &st);
    int done = REAL(ftruncate64)(fd, len);
    if (id && done == 0) note(SETLEN, id, (uint64_t)len, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t len) { return set_len(fd, len); }
int ftruncate64(int fd, off64_t len) { return set_len(fd, len); }

// The names in a folder, each with the number of what it stands for, 0 where that has none.
static void note_names(int fd, const char *path) {
    char entry[PATH_MAX + 32];
    size_t len = 0, room = 0;
    char *names = NULL;
    DIR *folder = fdopendir(REAL(openat64)(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (!folder) abort();
    for (struct dirent *found; (found = readdir(folder));) {
        struct stat st;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        if (fstatat(fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        uint64_t *id = slot(&st);
        int n = snprintf(entry, sizeof entry, "%llu %s\n", (unsigned long long)(id ? *id : 0), found->d_name);
        if (len + (size_t)n > room && !(names = realloc(names, room = 2 * (len + (size_t)n)))) abort();
        memcpy(names + len, entry, (size_t)n);
        len += (size_t)n;
    }
    closedir(folder);
    note(SYNCDIR, 0, 0, path, names, len);
    free(names);
}

static int synced(int fd) {
    struct stat st;
    if (journal < 0 || fstat(fd, &st) != 0) return journal < 0 ? REAL(fsync)(fd) : -1;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(st.st_mode)) {
        char buffer[PATH_MAX];
        const char *inside = noted(fd, ".", buffer);
        if (inside) note_names(fd, inside);
    } else {
        uint64_t id = id_of(fd, &st);
        if (id) note(SYNC, id, 0, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}
int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

static int one_path(uint8_t kind, int folder, const char *path, int (*call)(int, const char *, int, mode_t), int flags, mode_t mode) {
    char buffer[PATH_MAX];
    const char *inside = noted(folder, path, buffer);
    pthread_mutex_lock(&lock);
    int done = call(folder, path, flags, mode);
    if (done == 0 && inside) {
        struct stat st;
        uint64_t id = 0;
        if (kind == MKDIR && fstatat(folder, path, &st, 0) == 0) id = *slot_for(&st) = ++last_id;
        note(kind, id, 0, inside, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
static int call_mkdir(int folder, const char *path, int flags, mode_t mode) { (void)flags; return REAL(mkdirat)(folder, path, mode); }
static int call_unlink(int folder, const char *path, int flags, mode_t mode) { (void)mode; return REAL(unlinkat)(folder, path, flags); }
int mkdir(const char *path, mode_t mode) { return one_path(MKDIR, AT_FDCWD, path, call_mkdir, 0, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return one_path(MKDIR, folder, path, call_mkdir, 0, mode); }
int rmdir(const char *path) { return one_path(RMDIR, AT_FDCWD, path, call_unlink, AT_REMOVEDIR, 0); }
int unlink(const char *path) { return one_path(UNLINK, AT_FDCWD, path, call_unlink, 0, 0); }
int unlinkat(int folder, const char *path, int flags) {
    return one_path(flags & AT_REMOVEDIR ? RMDIR : UNLINK, folder, path, call_unlink, flags, 0);
}

static int two_paths(uint8_t kind, int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char first[PATH_MAX], second[PATH_MAX], both[2 * PATH_MAX];
    const char *a = noted(from_folder, from, first), *b = noted(to_folder, to, second);
    pthread_mutex_lock(&lock);
    int done = kind == LINK ? REAL(linkat)(from_folder, from, to_folder, to, flags)
                            : REAL(renameat)(from_folder, from, to_folder, to);
    if (done == 0 && (a || b)) {
        // What comes from outside would be a file nobody knows.
        if (!a || !b) abort();
        snprintf(both, sizeof both, "%s\n%s", a, b);
        note(kind, 0, 0, both, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int rename(const char *from, const char *to) { return two_paths(RENAME, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return two_paths(RENAME, a, from, b, to, 0); }
int link(const char *from, const char *to) { return two_paths(LINK, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return two_paths(LINK, a, from, b, to, flags); }

static int is_meant(int fd) {
    struct stat st;
    return id_of(fd, &st) != 0;
}
