//! What a student with a shell in a container may try: every line here is typed in the container of `ana`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::world::{IMAGE, World, docker};

/// Two groups with a backbone and published ports: all the networks that there are. Little memory, so that it is soon full.
const LAB: &str = r#"
domain = "{group}.lab"
relay = true
users = ["user2"]
students = [{ login = "ana", group = "g01" }, { login = "ben", group = "g01" }, { login = "eva", group = "g02" }]

[docker]
pool = "10.83.16.0/20"
publish = true
client = { memory = "64 MiB", processes = 32, disk = "16 MiB" }

[[exercise]]
id = "1.1"
[[exercise.check]]
message = { in = "user2" }
"#;

/// Connections that are tried at once.
const AT_ONCE: usize = 8;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_student_with_a_shell_stays_inside() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    the_own_server_is_reached_by_all_its_names(&world);
    nobody_else_is_reached(&world);
    nobody_else_can_be_played(&world);
    the_container_cannot_be_left(&world);
    the_kernel_is_asked_for_little(&world);
    what_is_used_up_is_the_students_own(&world);
    a_published_port_says_who_it_is(&world);
}

fn the_own_server_is_reached_by_all_its_names(world: &World) {
    for name in ["mail", "g01.lab", "mail.g01.lab"] {
        for port in [25, 110] {
            assert_eq!(world.sh("ana", &format!("nc -w 5 {name} {port} </dev/null")).0, 0, "{name}:{port}");
        }
    }
    // A program that looks a name up asks the group's server, and that is on record as the student's.
    let (code, said) = world.run(&["trace", "ana", "--json"]);
    assert_eq!(code, 0, "{said}");
    let asked = |name: &str| said.lines().any(|line| line.contains(r#""event":"query""#) && line.contains(name));
    for name in ["mail.g01.lab", "g01.lab"] {
        assert!(asked(&format!(r#""name":"{name}""#)), "{name}: {said}");
    }
}

/// Addresses of the other group's containers, of servers on networks of the whole lab, of the host on all its interfaces, of
/// the world; there mail's ports, the published ones, and a listener of the host.
fn nobody_else_is_reached(world: &World) {
    let (port, visitors) = listener();
    let own: BTreeSet<Ipv4Addr> = world.addresses("g01").iter().map(|text| text.parse().expect("an address")).collect();
    let servers = ["g01", "g02"].map(|group| world.container("server", group));
    let networks = "{{range .NetworkSettings.Networks}}{{println .IPAddress .Gateway}}{{end}}";
    let args = ["inspect", "--format", networks, &servers[0], &servers[1], &world.container("client", "eva")];
    let others = docker(&args).join(" ");
    let mut targets: BTreeSet<String> = others.split_whitespace().map(str::to_owned).collect();
    targets.retain(|target| target.parse().is_ok_and(|address: Ipv4Addr| !own.contains(&address)));
    assert!(targets.len() >= 6, "a network of the group, the backbone, the front: {targets:?}");
    targets.extend(hosts_addresses());
    targets.extend(["1.1.1.1", "192.0.2.1"].map(str::to_owned));
    let published = published(world, "ana", "smtp").1;
    let ports = [25, 110, 22, published, port];
    let tries = targets.iter().flat_map(|target| {
        ports.map(|port| format!("(nc -w 1 {target} {port} </dev/null >/dev/null 2>&1 && echo {target} {port}) &"))
    });
    // One that is reached, so that it is seen that they could be.
    let tries = ["(nc -w 5 mail 25 </dev/null >/dev/null 2>&1 && echo mail 25) &".to_owned()].into_iter().chain(tries);
    let tries: Vec<String> = tries.collect();
    // Each waits for an answer that does not come; a few at once are below the limit of processes.
    let (_, reached) =
        world.sh("ana", &tries.chunks(AT_ONCE).map(|some| some.join("\n") + "\nwait\n").collect::<String>());
    assert_eq!(reached, "mail 25\n", "of {} tried", tries.len());
    assert_eq!(visitors.load(Ordering::SeqCst), 0, "the host was reached");
    assert_eq!(world.sh("ana", "cat /proc/net/if_inet6"), (0, String::new()), "nobody has an IPv6 address");
    for line in ["nc -w 1 fe80::1%eth0 25 </dev/null", "ping6 -c 1 -w 1 ff02::1%eth0", "nslookup debian.org"] {
        assert_ne!(world.sh("ana", line).0, 0, "{line}");
    }
}

/// A port of the host where somebody listens, and how many came.
fn listener() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("[::]:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let visitors = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&visitors);
    std::thread::spawn(move || listener.incoming().for_each(|_| _ = count.fetch_add(1, Ordering::SeqCst)));
    (port, visitors)
}

/// The host's own addresses, whatever interface they are on.
fn hosts_addresses() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/fib_trie").expect("a table of routes");
    let lines: Vec<&str> = table.lines().collect();
    let local = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    let addresses = local.filter_map(|pair| pair[0].split_whitespace().last()?.parse::<Ipv4Addr>().ok());
    let addresses: BTreeSet<Ipv4Addr> = addresses.filter(|address| !address.is_loopback()).collect();
    assert!(!addresses.is_empty(), "a host has an address");
    addresses.into_iter().map(|address| address.to_string()).collect()
}

/// By an address, a name or a packet that is not the own.
fn nobody_else_can_be_played(world: &World) {
    let ben = world.container("client", "ben");
    let address = docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &ben]);
    let ben = &address[0];
    for line in [
        format!("ip address add {ben}/28 dev eth0"),
        format!("ip address add {ben}/32 dev lo"),
        "ip link set eth0 address 02:42:0a:53:10:99".to_owned(),
        "ip link set eth0 promisc on".to_owned(),
        "ip route add default via 10.83.16.1".to_owned(),
        format!("nc -s {ben} -w 2 mail 25 </dev/null"),
        "ping -c 1 -w 1 mail".to_owned(),
        format!("ip neigh replace {ben} lladdr 02:42:0a:53:10:99 dev eth0"),
    ] {
        let (code, said) = world.sh("ana", &line);
        assert_ne!(code, 0, "`{line}`: {said}");
    }
}

fn the_container_cannot_be_left(world: &World) {
    for line in [
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo b > /proc/sysrq-trigger",
        "echo x > /sys/kernel/uevent_helper",
        "echo max > /sys/fs/cgroup/pids.max || echo 9 > /sys/fs/cgroup/pids/pids.max",
        "echo x > /etc/passwd",
        "touch /x /bin/x",
        "mount -t tmpfs none /tmp",
        "mknod /tmp/disk b 254 0",
        "cat /proc/kcore",
        "cp /bin/busybox /tmp/s && chmod 4755 /tmp/s && ls /dev/mem",
        "ls /var/lib/labctl || ls /var/run/docker.sock",
        "grep -q '[^0]' /sys/fs/cgroup/../../../proc/1/root/etc/shadow",
    ] {
        let (code, said) = world.sh("ana", line);
        assert_ne!(code, 0, "`{line}`: {said}");
    }
    let (_, found) = world.sh("ana", "find / -name control.sock -o -name docker.sock -o -name '*.sqlite' 2>/dev/null");
    assert_eq!(found, "");
    let (_, status) = world.sh("ana", "id -u; grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status");
    let words: Vec<&str> = status.split_whitespace().collect();
    assert_eq!(words, ["1000", "CapPrm:", NONE, "CapEff:", NONE, "CapBnd:", NONE, "NoNewPrivs:", "1"]);
    // Nothing outlives a container but its home, and nobody can fill the image's own folders.
    let folders = "find / -xdev -type d -writable ! -path '/home/student*' ! -path '/proc/*' 2>/dev/null";
    assert_eq!(world.sh("ana", folders).1, "", "a folder of the image can be written to");
    for (role, whose, fixed) in [("server", "g01", "true"), ("client", "ana", "false")] {
        let format = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{index .HostConfig.SecurityOpt 0}} \
                      {{.HostConfig.RestartPolicy.Name}} {{index .HostConfig.LogConfig.Config \"max-size\"}} {{ne .Config.User \"\"}}";
        let said = docker(&["inspect", "--format", format, &world.container(role, whose)]);
        assert_eq!(said, [format!("{fixed} false [ALL] no-new-privileges unless-stopped 1m true")]);
    }
}

/// System calls that lead out of a container, or into parts of the kernel that a mail practical has no use for; the same
/// program without our profile shows that they are refused by it and not by this machine.
fn the_kernel_is_asked_for_little(world: &World) {
    let (source, program) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/docker/calls.c"), world.path("calls"));
    let built = Command::new("gcc").args(["-static", "-pthread", "-o"]).arg(&program).arg(source).status();
    assert!(built.expect("gcc is installed: tests/install.sh").success());
    world.done(&["cp", "calls", "ana:"]);
    let table = |said: &str| {
        let line = |line: &str| line.split_once(' ').map(|(call, answer)| (call.to_owned(), answer.to_owned()));
        said.lines().filter_map(line).collect::<BTreeMap<String, String>>()
    };
    let (code, said) = world.sh("ana", "./calls");
    let inside = table(&said);
    assert_eq!(code, 0, "{said}");
    let mount = format!("{}:/calls:ro", program.display());
    let free = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "seccomp=unconfined"];
    let free = table(&docker(&[&free[..], &["--volume", &mount, IMAGE, "/calls"]].concat()).join("\n"));
    for call in ["thread", "fork", "trace", "fixed-addresses", "inet", "unix", "netlink", "pair"] {
        assert_eq!((inside[call].as_str(), free[call].as_str()), ("works", "works"), "{call}");
    }
    let refused = [
        "vsock",
        "vsock-64",
        "alg",
        "user-namespace",
        "user-namespace-clone",
        "keys",
        "io_uring",
        "bpf",
        "userfaultfd",
    ];
    for call in refused {
        assert_eq!(inside[call], "refused", "{call}: {said}");
    }
    let by_us = refused.iter().filter(|call| free[**call] != "refused").count();
    assert!(free["vsock"] != "refused" && by_us >= 4, "{free:?}");
    assert_eq!(
        world.sh("ana", "strace -f -o /tmp/trace sh -c 'echo traced; :' && grep -c execve /tmp/trace").1,
        "traced\n1\n"
    );
    assert_eq!(world.sh("ana", "rm calls /tmp/trace").0, 0);
    let profile = |role, whose| {
        docker(&["inspect", "--format", "{{index .HostConfig.SecurityOpt 1}}", &world.container(role, whose)])
    };
    assert_eq!(profile("server", "g01"), profile("client", "ana"));
}

/// No capability.
const NONE: &str = "0000000000000000";

/// Processes, memory, disk: the limit is met, and meanwhile `ben` is served.
fn what_is_used_up_is_the_students_own(world: &World) {
    let served = |after: &str| {
        let (code, said) = world.sh("ben", "printf 'QUIT\\r\\n' | nc -w 5 mail 25");
        assert!(code == 0 && said.starts_with("220"), "after {after}: {said}");
    };
    let (_, said) = world.sh("ana", "for n in $(seq 100); do sleep 300 & done 2>&1");
    assert!(said.contains("fork"), "a fork bomb ends: {said}");
    served("a fork bomb");
    world.done(&["restart", "ana"]);
    let (code, said) = world.sh("ana", "dd if=/dev/zero of=/dev/null bs=200M count=1");
    assert_ne!(code, 0, "memory ends: {said}");
    served("a memory hog");
    let (code, said) = world.sh("ana", "dd if=/dev/zero of=/tmp/full bs=1M count=100");
    assert_ne!(code, 0, "what is not the home ends: {said}");
    let (code, said) = world.sh("ana", "rm -f /tmp/full; dd if=/dev/zero of=full bs=1M count=20");
    assert_ne!(code, 0, "a file ends: {said}");
    assert_eq!(world.sh("ana", "wc -c < full").1.trim(), (16 << 20).to_string(), "at its limit, to the octet");
    served("a full disk");
    assert_eq!(world.sh("ana", "rm full; echo again").0, 0);
}

/// What a way out opens is written in the reference: the host, and what it reaches; not the other groups.
#[test]
fn a_way_out_leads_to_the_host_and_to_no_other_group() {
    let Some(world) = World::new(OPEN) else { return };
    let (code, said) = world.run(&["up", "--engine", "docker", "--client-image", IMAGE]);
    assert!(code == 0 && said.contains("warning: with `internet` students reach"), "{said}");
    let (port, visitors) = listener();
    let host = hosts_addresses().remove(0);
    assert_eq!(world.sh("ana", &format!("nc -w 5 {host} {port} </dev/null")).0, 0, "a way out");
    assert_eq!(visitors.load(Ordering::SeqCst), 1);
    let others = world.addresses("g02");
    assert_eq!(others.len(), 2);
    let tries = others.iter().flat_map(|other| {
        [25, 110].map(|port| format!("nc -w 1 {other} {port} </dev/null | grep . && echo served by {other}\n"))
    });
    let (_, reached) = world.sh("ana", &tries.collect::<String>());
    assert!(!reached.contains("served by"), "{reached}");
    assert_eq!(world.sh("ana", "nc -w 5 mail 25 </dev/null").0, 0, "the own server");
    // While other networks come and go, the Engine lets a packet through now and then: a server does not serve strangers.
    let mut stranger = TcpStream::connect((others[0].as_str(), 25)).expect("the host has a way in");
    let mut greeting = Vec::new();
    let _ = stranger.read_to_end(&mut greeting);
    assert_eq!(String::from_utf8_lossy(&greeting), "");
}

/// Two groups with a way out.
const OPEN: &str = r#"
domain = "{group}.lab"
students = [{ login = "ana", group = "g01" }, { login = "eva", group = "g02" }]
docker = { internet = true, pool = "10.83.32.0/24" }
"#;

/// Where a student's own port of the host is.
fn published(world: &World, login: &str, service: &str) -> (String, u16) {
    let credentials = world.json(&["credentials", "--json"]);
    let students = credentials["students"].as_array().expect("students").clone();
    let student = students.iter().find(|student| student["login"] == login).expect("a student");
    let address = student["published"][service].as_str().expect("a published port");
    let (host, port) = address.rsplit_once(':').expect("an address");
    (host.to_owned(), port.parse().expect("a port"))
}

fn a_published_port_says_who_it_is(world: &World) {
    let stream = TcpStream::connect(published(world, "ben", "smtp")).expect("the port of the host leads to the server");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut stream = BufReader::new(stream);
    let lines = ["EHLO me", "MAIL FROM:<somebody@g01.lab>", "RCPT TO:<user2@g01.lab>", "DATA", "hi\r\n.", "QUIT"];
    for line in lines {
        stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
    }
    let said: Vec<String> = stream.lines().map(|line| line.expect("the server answers")).collect();
    assert!(said.last().is_some_and(|line| line.starts_with("221")), "{said:?}");
    let report = world.json(&["report", "--json"]);
    let students = report["students"].as_array().expect("students").clone();
    let verdicts: Vec<(&str, &str)> = students
        .iter()
        .map(|student| {
            (
                student["login"].as_str().expect("a login"),
                student["exercises"][0]["verdict"].as_str().expect("a verdict"),
            )
        })
        .collect();
    assert_eq!(verdicts, [("ana", "missing"), ("ben", "done"), ("eva", "missing")]);
    let trace = world.done(&["trace", "ben", "--json"]);
    assert!(trace.contains("\"by\":\"endpoint\""), "{trace}");
}
