#define _GNU_SOURCE
#include "CRoostLinux.h"

#include <malloc.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

int roost_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int roost_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int roost_close_range(unsigned int first, unsigned int last) {
    return (int)syscall(SYS_close_range, first, last, 0);
}

const void *roost_find(const void *bytes, size_t count, const void *needle, size_t needle_count) {
    return memmem(bytes, count, needle, needle_count);
}

int roost_pipe(int ends[2], int nonblocking) {
    if (pipe2(ends, O_CLOEXEC)) return -1;
    return fcntl(ends[nonblocking], F_SETFL, O_NONBLOCK);
}

void roost_keep_freed_memory(int mapped, int kept) {
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, mapped);
    (void)mallopt(M_TRIM_THRESHOLD, kept);
#else
    (void)mapped, (void)kept;
#endif
}

void roost_widen_pipe(int end, int bytes) { (void)fcntl(end, F_SETPIPE_SZ, bytes); }

int roost_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1U /* close on exec */); }
int roost_unnamed_file(const char *directory) {
    int file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
    // Not every file system makes files without a name.
    char name[4096];
    if (snprintf(name, sizeof name, "%s/roost-XXXXXX", directory) >= (int)sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    file = mkostemp(name, O_CLOEXEC);
    if (file >= 0) unlink(name);
    return file;
}

int roost_affinity_count(void) {
    // The kernel refuses a mask shorter than its own, so it grows until it is taken.
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *mask = CPU_ALLOC(cpus);
        if (!mask) return -1;
        size_t size = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(size, mask);
        int failed = sched_getaffinity(0, size, mask);
        int count = CPU_COUNT_S(size, mask);
        int error = errno;
        CPU_FREE(mask);
        if (!failed) return count;
        if (error != EINVAL) return -1;
    }
    return -1;
}

int64_t roost_file_system_type(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts)) return -1;
    return (int64_t)(uint32_t)facts.f_type;
}

void roost_keep_exit_statuses(void) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action)) return;
    if (action.sa_handler != SIG_IGN && !(action.sa_flags & SA_NOCLDWAIT)) return;
    if (action.sa_handler == SIG_IGN) action.sa_handler = SIG_DFL;
    action.sa_flags &= ~SA_NOCLDWAIT;
    sigaction(SIGCHLD, &action, NULL);
}

int roost_limit_data(pid_t pid, uint64_t bytes) {
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_DATA, NULL, &limit)) return -1;
    limit.rlim_cur = bytes && bytes < limit.rlim_max ? bytes : limit.rlim_max;
    return prlimit(pid, RLIMIT_DATA, &limit, NULL);
}
