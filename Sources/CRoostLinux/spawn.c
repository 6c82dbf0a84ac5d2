#define _GNU_SOURCE
#include "CRoostLinux.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// What the child tells its parent through the memory they share until the exec.
struct failure {
    volatile int step;
    volatile int error;
};

// Which signals do not have their default disposition, as each thread that starts processes last found them. To
// ask for all of them, or to set all, at each start would be sixty system calls.
static __thread sigset_t changed_signals;
static __thread time_t changed_signals_at = -1;

static void find_changed_signals(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (changed_signals_at == now.tv_sec) return;
    changed_signals_at = now.tv_sec;
    sigemptyset(&changed_signals);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action;
        if (!sigaction(signal, NULL, &action) && action.sa_handler != SIG_DFL) sigaddset(&changed_signals, signal);
    }
}

static void reset_signals(const sigset_t *signals) {
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        if (!signals || sigismember(signals, signal)) sigaction(signal, &standard, NULL);
    }
}

// Why not posix_spawn: it cannot set a resource limit or join a cgroup before the program runs, and it does
// not say whether the directory or the program was missing. The child below does what posix_spawn's does:
// it runs on its suspended parent's stack, all signals blocked, and calls nothing but system calls.
static void __attribute__((noreturn)) run_child(
    const struct roost_spawn_plan *plan, const sigset_t *changed, const sigset_t *unblocked,
    struct failure *failure) {
    int step = roost_spawn_step_process;

    // No handler of the parent may run in memory that is the parent's: defaults first, then the mask.
    reset_signals(changed);
    if (plan->new_session ? setsid() == -1 : setpgid(0, 0)) goto failed;

    step = roost_spawn_step_descriptors;
    if (dup2(plan->input, 0) == -1 || dup2(plan->output, 1) == -1 || dup2(plan->error, 2) == -1) goto failed;
    int has_frames = plan->frames_in >= 0;
    if (has_frames
        && (dup2(plan->frames_in, 3) == -1 || dup2(plan->frames_out, 4) == -1 || dup2(plan->program, 5) == -1))
        goto failed;

    step = roost_spawn_step_directory;
    if (chdir(plan->directory)) goto failed;

    step = roost_spawn_step_limit;
    if (plan->cgroup_procs >= 0 && write(plan->cgroup_procs, "0", 1) != 1) goto failed;
    if (plan->data_limit) {
        struct rlimit limit = {plan->data_limit, plan->data_limit};
        if (setrlimit(RLIMIT_DATA, &limit)) goto failed;
    }

    // Not on kernels before 5.9, where those that are marked close on exec still do.
    if (plan->close_others) roost_close_range(has_frames ? 6 : 3, ~0U);

    step = roost_spawn_step_program;
    // A signal that came already would be taken by a handler that was set since the parent last looked.
    sigset_t pending;
    sigpending(&pending);
    if (!sigisemptyset(&pending)) reset_signals(NULL);
    if (pthread_sigmask(SIG_SETMASK, unblocked, NULL)) goto failed;
    // A program that was written just now may still be open in a child of another thread, until that child reaches its own exec.
    for (int tries = 0; tries < 10; tries++) {
        execve(plan->path, plan->arguments, plan->environment);
        if (errno != ETXTBSY) break;
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    }

failed:
    failure->error = errno;
    failure->step = step;
    _exit(127);
}

pid_t roost_spawn(const struct roost_spawn_plan *plan, int *failed_step, int *failed_errno) {
    sigset_t all, before, unblocked;
    sigfillset(&all);
    sigemptyset(&unblocked);
    if (plan->signals_blocked) {
        sigaddset(&unblocked, SIGINT);
        sigaddset(&unblocked, SIGTERM);
        sigaddset(&unblocked, SIGHUP);
        sigaddset(&unblocked, SIGQUIT);
    }
    struct failure failure = {0, 0};
    find_changed_signals();
    const sigset_t *changed = &changed_signals;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) run_child(plan, changed, &unblocked, &failure);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (pid > 0 && failure.step) {
        int status;
        while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {}
        *failed_step = failure.step;
        *failed_errno = failure.error;
        return -1;
    }
    if (pid == -1) {
        *failed_step = roost_spawn_step_process;
        *failed_errno = error;
    }
    return pid;
}
