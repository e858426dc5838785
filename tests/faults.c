/* Make the n-th call about files fail, fall short or never return: a library that is
 * loaded before the C library (LD_PRELOAD), and does nothing until faults_arm().
 *
 * Calls count if they are about files below a folder, by name or by handle, or about
 * the standard output, if that was asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { FAIL = 0, SHORT = 1, FULL = 2, KILL = 3 };
enum { NO_LINKS = 1, NO_EXCLUSIVE_RENAME = 2 };

static int armed, with_stdout, log_to, nth, how, code, refused, count, full;
static char root[4096];

void faults_arm(const char *folder, int stdout_too, int log, int n, int mode, int error,
                int refuse);

/* Begin. Every call is written to `log` as a line; the n-th (from 1) is the one. */
void faults_arm(const char *folder, int stdout_too, int log, int n, int mode, int error,
                int refuse)
{
    snprintf(root, sizeof root, "%s", folder);
    with_stdout = stdout_too;
    log_to = log;
    nth = n;
    how = mode;
    code = error;
    refused = refuse;
    count = full = 0;
    armed = 1;
}

static int below(const char *path)
{
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (!path[length] || path[length] == '/');
}

static int about(int handle)
{
    char name[64], path[4096];
    if (handle == 1 && with_stdout)
        return 1;
    if (handle == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/self/cwd");
    else
        snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    long length = syscall(SYS_readlinkat, AT_FDCWD, name, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

static int named(int folder, const char *path)
{
    return path[0] == '/' ? below(path) : about(folder);
}

/* Count a call; whether it is the one. */
static int is_it(const char *name)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%s\n", name);
    syscall(SYS_write, log_to, line, length);
    return ++count == nth;
}

static void die(void)
{
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

/* Whether a call is to fail; does not return if it is the last one. */
static int fails(const char *name)
{
    if (!is_it(name))
        return 0;
    if (how == KILL)
        die();
    if (how != FAIL)
        return 0;
    errno = code;
    return 1;
}

#define REAL(result, name, ...)         \
    static result (*real)(__VA_ARGS__); \
    if (!real)                          \
    real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define ON_HANDLE(result, name, types, values, handle) \
    result name types                                  \
    {                                                  \
        REAL(result, name, UNPACK types);              \
        if (armed && about(handle) && fails(#name))    \
            return -1;                                 \
        return real values;                            \
    }
#define ON_NAME(result, name, types, values, folder, path) \
    result name types                                      \
    {                                                      \
        REAL(result, name, UNPACK types);                  \
        if (armed && named(folder, path) && fails(#name))  \
            return -1;                                     \
        return real values;                                \
    }
#define UNPACK(...) __VA_ARGS__

ON_HANDLE(int, fsync, (int f), (f), f)
ON_HANDLE(int, fchmod, (int f, mode_t m), (f, m), f)
ON_HANDLE(int, fchown, (int f, uid_t u, gid_t g), (f, u, g), f)
ON_HANDLE(int, futimens, (int f, const struct timespec t[2]), (f, t), f)
ON_HANDLE(int, ftruncate, (int f, off_t n), (f, n), f)
ON_HANDLE(int, ftruncate64, (int f, off64_t n), (f, n), f)
ON_HANDLE(off64_t, lseek64, (int f, off64_t n, int w), (f, n, w), f)
ON_HANDLE(int, flock, (int f, int o), (f, o), f)
ON_HANDLE(int, fstat, (int f, struct stat *s), (f, s), f)
ON_HANDLE(int, fstat64, (int f, struct stat64 *s), (f, s), f)
ON_HANDLE(ssize_t, flistxattr, (int f, char *l, size_t n), (f, l, n), f)
ON_HANDLE(ssize_t, fgetxattr, (int f, const char *a, void *v, size_t n), (f, a, v, n),
          f)
ON_HANDLE(int, fsetxattr, (int f, const char *a, const void *v, size_t n, int o),
          (f, a, v, n, o), f)
ON_NAME(int, stat, (const char *p, struct stat *s), (p, s), AT_FDCWD, p)
ON_NAME(int, stat64, (const char *p, struct stat64 *s), (p, s), AT_FDCWD, p)
ON_NAME(int, lstat, (const char *p, struct stat *s), (p, s), AT_FDCWD, p)
ON_NAME(int, lstat64, (const char *p, struct stat64 *s), (p, s), AT_FDCWD, p)
ON_NAME(int, fstatat, (int d, const char *p, struct stat *s, int o), (d, p, s, o), d, p)
ON_NAME(int, fstatat64, (int d, const char *p, struct stat64 *s, int o), (d, p, s, o),
        d, p)
ON_NAME(int, access, (const char *p, int m), (p, m), AT_FDCWD, p)
ON_NAME(int, mkdir, (const char *p, mode_t m), (p, m), AT_FDCWD, p)
ON_NAME(int, unlink, (const char *p), (p), AT_FDCWD, p)
ON_NAME(int, unlinkat, (int d, const char *p, int o), (d, p, o), d, p)
ON_NAME(int, chmod, (const char *p, mode_t m), (p, m), AT_FDCWD, p)
ON_NAME(int, chown, (const char *p, uid_t u, gid_t g), (p, u, g), AT_FDCWD, p)
ON_NAME(int, utimensat, (int d, const char *p, const struct timespec t[2], int o),
        (d, p, t, o), d, p)
ON_NAME(int, rename, (const char *a, const char *b), (a, b), AT_FDCWD, b)
ON_NAME(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), e, b)

int close(int handle)
{
    REAL(int, close, int);
    int failing = armed && about(handle) && fails("close");
    int error = errno;
    int result = real(handle); /* which closes it even if it fails */
    if (!failing)
        return result;
    errno = error;
    return -1;
}

/* A name that is taken is said to be so; else a disk that cannot do it says that. */
static int refuses(int flag, int folder, const char *path, int error)
{
    struct stat there;
    if (!armed || !(refused & flag) || !named(folder, path))
        return 0;
    int taken = syscall(SYS_newfstatat, folder, path, &there, AT_SYMLINK_NOFOLLOW) == 0;
    errno = taken ? EEXIST : error;
    return 1;
}

int linkat(int d, const char *a, int e, const char *b, int o)
{
    REAL(int, linkat, int, const char *, int, const char *, int);
    if (armed && named(e, b) && fails("linkat"))
        return -1;
    return refuses(NO_LINKS, e, b, EPERM) ? -1 : real(d, a, e, b, o);
}

int renameat2(int d, const char *a, int e, const char *b, unsigned o)
{
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    if (armed && named(e, b) && fails("renameat2"))
        return -1;
    return refuses(NO_EXCLUSIVE_RENAME, e, b, EINVAL) ? -1 : real(d, a, e, b, o);
}

ssize_t write(int handle, const void *data, size_t size)
{
    REAL(ssize_t, write, int, const void *, size_t);
    if (!armed || !about(handle))
        return real(handle, data, size);
    if (is_it("write")) {
        if (how == FAIL) {
            errno = code;
            return -1;
        }
        full = how == FULL;
        ssize_t written = real(handle, data, (size + 1) / 2);
        if (how == KILL)
            die();
        return written;
    }
    if (full) {
        errno = code;
        return -1;
    }
    return real(handle, data, size);
}

ssize_t read(int handle, void *data, size_t size)
{
    REAL(ssize_t, read, int, void *, size_t);
    if (armed && about(handle) && is_it("read")) {
        if (how == KILL)
            die();
        if (how == FAIL) {
            errno = code;
            return -1;
        }
        if (how == SHORT)
            size = (size + 1) / 2;
    }
    return real(handle, data, size);
}

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...)                                  \
    {                                                                           \
        REAL(int, name, const char *, int, ...);                                \
        va_list more;                                                           \
        va_start(more, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                           \
        if (armed && named(AT_FDCWD, path) && fails("open"))                    \
            return -1;                                                          \
        return real(path, flags, mode);                                         \
    }
#define OPENAT(name)                                                            \
    int name(int folder, const char *path, int flags, ...)                      \
    {                                                                           \
        REAL(int, name, int, const char *, int, ...);                           \
        va_list more;                                                           \
        va_start(more, flags);                                                  \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                           \
        if (armed && named(folder, path) && fails("openat"))                    \
            return -1;                                                          \
        return real(folder, path, flags, mode);                                 \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define FCNTL(name)                                                               \
    int name(int handle, int command, ...)                                        \
    {                                                                             \
        REAL(int, name, int, int, ...);                                           \
        va_list more;                                                             \
        va_start(more, command);                                                  \
        void *value = va_arg(more, void *);                                       \
        va_end(more);                                                             \
        if (armed && command == F_DUPFD_CLOEXEC && about(handle) && fails("dup")) \
            return -1;                                                            \
        return real(handle, command, value);                                      \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
