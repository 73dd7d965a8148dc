//! Engines that can do less than this machine's, or run on something else.

use std::fs;

use super::{
    between::{
        Between,
        Otherwise::{Answer, Replace},
    },
    convergence::LAB,
    world::{World, docker},
};

/// No cgroups: nothing can be held, and limits are taken and do not hold.
#[test]
fn an_engine_without_cgroups_is_told_of_and_leaves_nothing_half_done() {
    let Some(machine) = World::new(LAB) else { return };
    let id = "0123456789abcdef".repeat(4);
    let refused = format!(r#"{{"message":"Cannot pause container {id}: no cgroups here"}}"#);
    let between = Between::new(
        true,
        vec![
            Answer("POST", "/pause", 500, refused),
            Replace(
                "POST",
                "/containers/create",
                r#""Warnings":[]"#,
                r#""Warnings":["Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."]"#,
            ),
        ],
    );
    let world = machine.on(&between.host(), LAB);
    let (code, said) =
        world.run(&["up", "--engine", "docker", "--client-image", super::world::IMAGE, "--pool", "10.83.64.0/24"]);
    assert!(code == 0 && said.contains("does not hold containers to limits of: memory\n"), "{said}");
    let how = || {
        let format = "{{.Name}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}}";
        docker(&["inspect", "--format", format, &world.container("client", "ana")])
    };
    let before = how();
    let (code, said) = world.run(&["freeze", "ana"]);
    assert!(code != 0 && said.contains("no cgroups here") && !said.contains(&id), "{said}");
    assert_eq!(how(), before);
    assert!(before[0].ends_with(" running unless-stopped"), "{before:?}");
    fs::write(world.path("a.c"), "int a;\n").expect("a file");
    for (from, to) in [("a.c", "ana:"), ("ana:a.c", "b.c")] {
        let (code, said) = world.run(&["cp", from, to]);
        assert!(code == 0 && said.contains("the Engine cannot hold them (Cannot pause container"), "{said}");
    }
    assert_eq!(fs::read_to_string(world.path("b.c")).expect("a file"), "int a;\n");
    // Every request says which version of the API it means; `docker`, which brings the image, begins with another question.
    let spoken = docker(&["version", "--format", "{{.Server.APIVersion}}"]).remove(0);
    let other: Vec<String> = between.asked().into_iter().filter(|asked| !asked.contains(" /v")).collect();
    assert!(other.iter().all(|asked| ["GET /version", "HEAD /_ping"].contains(&asked.as_str())), "{other:?}");
    assert!(between.asked().iter().any(|asked| asked.contains(&format!(" /v{spoken}/containers/"))), "{spoken}");
}

/// An Engine of arm64: nothing is made, and nothing but that is asked.
#[test]
fn a_program_of_another_processor_is_one_error_before_anything_is_made() {
    let Some(machine) = World::new(LAB) else { return };
    let version = r#"{"ApiVersion":"1.41","Os":"linux","Arch":"ARCH","Components":[]}"#;
    let processor = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let between = Between::new(false, vec![Answer("GET", "/version", 200, version.replace("ARCH", processor))]);
    let world = machine.elsewhere(&between.host(), LAB);
    let header = |machine: u8| [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0"[..], &[machine, 0]].concat();
    let own = if processor == "arm64" { 183 } else { 62 };
    fs::write(world.path("right"), header(own)).expect("a file");
    fs::write(world.path("riscv"), header(243)).expect("a file");
    fs::write(world.path("mac"), b"\xcf\xfa\xed\xfe\x0c\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0").expect("a file");
    let up = |more: &[&str]| world.run(&[&["up", "--engine", "docker", "--client-image", "none"][..], more].concat());
    for (more, is) in [
        (&[][..], "is for linux on "),
        (&["--server-binary", "riscv"], "is for linux on riscv64"),
        (&["--server-binary", "mac"], "is for darwin on arm64"),
        (&["--server-binary", "lab.toml"], "is no program that is known"),
    ] {
        let (code, said) = up(more);
        assert!(code == 1 && said.contains(is) && said.contains(&format!("runs linux on {processor}")), "{said}");
        assert_eq!(said.matches("error:").count(), 1, "{said}");
        assert!(said.contains("--server-binary FILE") && said.contains("make dist TARGET="), "{said}");
    }
    assert!(between.asked().iter().all(|asked| asked.starts_with("GET /version")), "{:?}", between.asked());
    let (code, said) = up(&["--server-binary", "right"]);
    assert!(code == 1 && said.contains("there is no such Engine") && !said.contains("is for"), "{said}");
}
