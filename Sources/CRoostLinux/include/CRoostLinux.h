/// The few Linux calls that Swift's Glibc module leaves out, and one start of a process.
///
/// Nothing here decides anything: each function is one system call under its own name, except
/// `roost_spawn`, which must be C because a vforked child may only run code that touches no runtime.
#ifndef C_ROOST_LINUX_H
#define C_ROOST_LINUX_H

// No _GNU_SOURCE here: Swift's own module of the C library is built without it, and some types would differ.
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

/// What a new process is made of. Descriptors are the parent's and become 0, 1 and 2 of the child; all three
/// must be above 2.
struct roost_spawn_plan {
    const char *path;
    char *const *arguments;
    char *const *environment;
    /// Where the child starts; a relative `path` is meant from here.
    const char *directory;
    int input, output, error;
    /// Three more, which become 3, 4 and 5 of the child, all above 5; -1, all of them: there are none.
    int frames_in, frames_out, program;
    /// An open cgroup.procs the child joins before it runs anything, or -1.
    int cgroup_procs;
    /// RLIMIT_DATA in bytes; 0: as inherited.
    uint64_t data_limit;
    /// Close every other descriptor, also those whose opener forgot to mark them close-on-exec.
    int close_others;
    /// A new session instead of only a new process group.
    int new_session;
    /// Keep SIGINT, SIGTERM, SIGHUP and SIGQUIT blocked until the program arranges for them itself.
    int signals_blocked;
};

/// The step a start failed at.
enum roost_spawn_step {
    roost_spawn_step_process = 1,
    roost_spawn_step_descriptors = 2,
    roost_spawn_step_directory = 3,
    roost_spawn_step_limit = 4,
    roost_spawn_step_program = 5,
};

/// Starts a process in its own group, with every signal at its default and none blocked. (A signal that this program
/// came to ignore within the last second may still be ignored.)
/// Returns its pid, or -1 with the step and errno of the failure (nothing is left to reap then).
pid_t roost_spawn(const struct roost_spawn_plan *plan, int *failed_step, int *failed_errno);

int roost_pidfd_open(pid_t pid);
int roost_pidfd_send_signal(int pidfd, int signal);
/// Closes every descriptor from `first` to `last`, both included. -1 with ENOSYS before Linux 5.9.
int roost_close_range(unsigned int first, unsigned int last);
/// memmem: where `needle` is in `bytes`, or NULL.
const void *roost_find(const void *bytes, size_t count, const void *needle, size_t needle_count);
/// A pipe, both ends closed on exec. `nonblocking`: 0 or 1, the end that never blocks; the other is as programs expect.
int roost_pipe(int ends[2], int nonblocking);
/// Makes a pipe hold so many bytes, if the system allows it.
void roost_widen_pipe(int end, int bytes);
/// A file in memory, closed on exec, that another process can open as /proc/PID/fd/N; or -1.
int roost_memory_file(const char *name);
/// A new file in `directory` to write and read, which goes with its last descriptor. -1: see errno.
int roost_unnamed_file(const char *directory);
/// Sets another process's limit of data memory (RLIMIT_DATA, the soft one), in bytes; 0: as much as it may. -1: see errno.
int roost_limit_data(pid_t pid, uint64_t bytes);
/// How many CPUs the scheduler may put this process on, or -1.
int roost_affinity_count(void);
/// The magic number of the file system under `path`, or -1.
int64_t roost_file_system_type(const char *path);
/// The SIGCHLD setting that makes the kernel reap children by itself would lose every exit status: undo it.
void roost_keep_exit_statuses(void);
/// Has malloc map only blocks of `mapped` bytes or more, and keep `kept` bytes of what is freed of smaller ones.
void roost_keep_freed_memory(int mapped, int kept);

#endif
