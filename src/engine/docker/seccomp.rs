//! Which system calls the programs in a container may make (seccomp(2)): those that programs without privileges use, gdb and
//! strace among them. What is not listed is refused: modules and BPF, namespaces and mounts, keys, io_uring, performance
//! counters, and every kind of socket but those of a mail practical. So an Engine whose own profile is older or wider does not
//! decide what a student reaches.

use serde_json::{Value, json};

/// Files and descriptors.
const FILES: &str = "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 \
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr \
    fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat memfd_create \
    mkdir mkdirat mknod mknodat newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read \
    readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx \
    symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev";

/// Memory, also what programs share.
const MEMORY: &str = "brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock \
    munlockall munmap pkey_alloc pkey_free pkey_mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink \
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget";

/// Processes and threads, who they are, and looking into the own ones.
const PROCESSES: &str = "arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv \
    futex_wake get_robust_list getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid \
    getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset \
    landlock_restrict_self pidfd_open pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev ptrace \
    restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield \
    seccomp set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid \
    setreuid setrlimit setsid setuid sysinfo times uname vfork wait4 waitid";

/// Signals, clocks, and waiting.
const EVENTS: &str = "alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 \
    epoll_wait eventfd eventfd2 getitimer getrandom gettimeofday kill nanosleep pause poll ppoll pselect6 rt_sigaction \
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo select setitimer \
    sigaltstack signalfd signalfd4 tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime \
    timerfd_create timerfd_gettime timerfd_settime tkill";

/// What is done with a socket once there is one.
const SOCKETS: &str = "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg \
    sendmsg sendto setsockopt shutdown";

/// Families of sockets (address_families(7)): local, IPv4, IPv6, and netlink, by which programs ask for the own addresses.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

/// The local ones, which come in pairs.
const PAIRS: u32 = 1;

/// Ways to execute (personality(2)): the usual one, that of 32 bits, either with an old version's name, the question, and
/// without random addresses, which gdb asks for.
const PERSONALITIES: [u32; 6] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff, 0x4_0000];

/// The flags by which clone(2) makes namespaces.
const NAMESPACES: u32 = 0x7e02_0000;

/// "There is no such call" (errno(3), `ENOSYS`), whereupon a C library takes clone(2), whose flags can be seen here.
const NO_CALL: u32 = 38;

/// The profile, as an Engine takes it.
pub(super) fn profile() -> String {
    let names = [FILES, MEMORY, PROCESSES, EVENTS, SOCKETS].into_iter().flat_map(str::split_ascii_whitespace);
    let mut rules = vec![json!({ "names": names.collect::<Vec<_>>(), "action": "SCMP_ACT_ALLOW" })];
    rules.extend(FAMILIES.map(|family| first_is("socket", family)));
    rules.push(first_is("socketpair", PAIRS));
    rules.extend(PERSONALITIES.map(|personality| first_is("personality", personality)));
    let without = json!([{ "index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": NAMESPACES, "valueTwo": 0 }]);
    rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": without }));
    rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": NO_CALL }));
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules }).to_string()
}

/// Allows a call whose first argument is this one, all 64 bits of it.
fn first_is(name: &str, value: u32) -> Value {
    let argument = json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": value }]);
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": argument })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_leads_out_is_not_listed_and_nothing_twice() {
        let profile: Value = serde_json::from_str(&profile()).unwrap();
        let rules = profile["syscalls"].as_array().unwrap();
        let free: Vec<&str> = rules[0]["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let once: BTreeSet<&str> = free.iter().copied().collect();
        assert_eq!(free.len(), once.len());
        for refused in [
            "bpf",
            "clone",
            "clone3",
            "delete_module",
            "init_module",
            "io_uring_setup",
            "kexec_load",
            "keyctl",
            "mount",
            "move_mount",
            "open_by_handle_at",
            "perf_event_open",
            "personality",
            "pivot_root",
            "setns",
            "socket",
            "socketcall",
            "socketpair",
            "umount2",
            "unshare",
            "userfaultfd",
        ] {
            assert!(!once.contains(refused), "{refused}");
        }
        assert!(rules[1..].iter().all(|rule| rule["args"].is_array() || rule["action"] == "SCMP_ACT_ERRNO"));
    }
}
