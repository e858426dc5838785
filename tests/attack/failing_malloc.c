/* Memory that cannot be had, when a test says so: to be loaded before the C library.
 *
 * fail_at(n, times, least) lets the n-th allocation of at least so many bytes from now
 * on fail, and so many in all; allocations() counts those since then. Allocations that
 * are smaller, as most of Python's own, are neither counted nor failed.
 *
 * NumPy crashes where it lacks the memory for a buffer between two arrays, of some
 * kilobytes, and libjpeg where it lacks that for its tables. After tell_crashes() a
 * process that crashes outside of the kernel ends with the exit code 77.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long count, first, last;
static atomic_size_t smallest;

void fail_at(long n, long times, size_t least)
{
    count = 0;
    smallest = least;
    last = n + times;
    first = n;
}

long allocations(void)
{
    return count;
}

static int fails(size_t size)
{
    if (!first || size < smallest)
        return 0;
    long now = ++count;
    if (now < first || now >= last)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(number, size, &total))
        total = (size_t)-1;
    return fails(total) ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
    return fails(size) ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails(size) ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

void *mmap(void *place, size_t size, int rights, int flags, int file, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && fails(size))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, place, size, rights, flags, file, offset);
}

/* Tell crashes of the kernel from those of NumPy, Pillow and Python. */
static void on_crash(int number)
{
    static int before;
    if (before++) /* there is no way back from where others jumped to */
        _exit(77);
    void *frames[32];
    int count = backtrace(frames, 32), ours = 0;
    for (int i = 0; i < count; i++) {
        Dl_info in;
        if (dladdr(frames[i], &in) && in.dli_fname)
            ours |= strstr(in.dli_fname, "_kernel.") != NULL;
    }
    if (!ours)
        _exit(77);
    signal(number, SIG_DFL);
    raise(number);
}

void tell_crashes(void)
{
    void *frame;
    backtrace(&frame, 1); /* loads what it needs */
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
}
