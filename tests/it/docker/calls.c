/* Tries system calls; for each a line: whether it works, is refused, or fails otherwise, as where the kernel lacks it. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *call, long result)
{
    printf("%s %s\n", call, result >= 0 ? "works" : errno == EPERM || errno == EACCES ? "refused" : "fails");
    fflush(stdout);
}

static void *nothing(void *given)
{
    return given;
}

/* In a process of its own: what it changes stays there. */
static long apart(long (*call)(void))
{
    pid_t child = fork();
    int status;
    if (child == 0)
        _exit(call() < 0 ? errno : 0);
    waitpid(child, &status, 0);
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    return errno == 0 ? 0 : -1;
}

static long namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long traced(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static long fixed(void)
{
    return personality(ADDR_NO_RANDOMIZE);
}

static long cloned(void)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child;
}

int main(void)
{
    pthread_t thread;
    int pair[2];
    char page[128] = {0};
    errno = pthread_create(&thread, 0, nothing, 0);
    tell("thread", errno == 0 ? 0 : -1);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    tell("fork", child);
    tell("trace", apart(traced));
    tell("fixed-addresses", apart(fixed));
    tell("inet", socket(AF_INET, SOCK_STREAM, 0));
    tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    tell("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    /* The kernel looks at 32 bits of the family, a filter at 64. */
    tell("vsock-64", syscall(SYS_socket, 0x100000000L | AF_VSOCK, SOCK_STREAM, 0));
    tell("alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
    tell("user-namespace", apart(namespace));
    tell("user-namespace-clone", apart(cloned));
    tell("keys", syscall(SYS_keyctl, 0, -3, 1));
    tell("io_uring", syscall(SYS_io_uring_setup, 1, page));
    tell("bpf", syscall(SYS_bpf, 0, 0, 0));
    tell("userfaultfd", syscall(SYS_userfaultfd, 1));
    return 0;
}
