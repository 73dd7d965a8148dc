//! For which system and processor a program is, by its first octets (elf(5); Mach-O's `mach/machine.h`), in Go's names, as an
//! Engine says what it runs on.

use std::{fmt, path::Path};

use super::{About, DockerError, place::Place};

/// A system and a processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    system: &'static str,
    processor: &'static str,
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} on {}", self.system, self.processor)
    }
}

/// Octets of a header that are looked at.
const HEADER: usize = 20;

/// What a program is for; none where it is no program that is known.
pub(super) fn target(program: &[u8]) -> Option<Target> {
    let header: &[u8; HEADER] = program.first_chunk()?;
    match header {
        [0x7f, b'E', b'L', b'F', _, order, _, system, ..] => {
            let machine = [header[18], header[19]];
            let machine = if *order == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
            let system = match system {
                0 | 3 => "linux",
                2 => "netbsd",
                6 => "solaris",
                9 => "freebsd",
                12 => "openbsd",
                _ => "another system",
            };
            let processor = match machine {
                3 => "386",
                8 => "mips",
                21 => "ppc64le",
                22 => "s390x",
                40 => "arm",
                62 => "amd64",
                183 => "arm64",
                243 => "riscv64",
                258 => "loong64",
                _ => "another processor",
            };
            Some(Target { system, processor })
        }
        [0xcf, 0xfa, 0xed, 0xfe, cpu @ ..] => {
            let processor = match u32::from_le_bytes([cpu[0], cpu[1], cpu[2], cpu[3]]) {
                0x0100_0007 => "amd64",
                0x0100_000c => "arm64",
                _ => "another processor",
            };
            Some(Target { system: "darwin", processor })
        }
        [0xca, 0xfe, 0xba, 0xbe, ..] => Some(Target { system: "darwin", processor: "several processors" }),
        [b'M', b'Z', ..] => Some(Target { system: "windows", processor: "another processor" }),
        _ => None,
    }
}

/// Whether the program can run on the Engine; else what both are.
pub(super) fn check(path: &Path, program: &[u8], engine: &About, place: &Place) -> Result<(), DockerError> {
    if engine.system.is_empty() || engine.processor.is_empty() {
        return Ok(());
    }
    let found = target(program);
    if found.as_ref().is_some_and(|found| (found.system, found.processor) == (&engine.system, &engine.processor)) {
        return Ok(());
    }
    Err(DockerError::Foreign {
        program: path.to_owned(),
        target: found.map_or_else(|| "no program that is known".to_owned(), |found| format!("for {found}")),
        place: Box::new(place.clone()),
        engine: format!("{} on {}", engine.system, engine.processor),
        triple: triple(engine),
    })
}

/// What `make dist` calls such an Engine's programs.
fn triple(engine: &About) -> Option<&'static str> {
    match (engine.system.as_str(), engine.processor.as_str()) {
        ("linux", "amd64") => Some("x86_64-unknown-linux-gnu"),
        ("linux", "arm64") => Some("aarch64-unknown-linux-gnu"),
        ("linux", "riscv64") => Some("riscv64gc-unknown-linux-gnu"),
        ("linux", "ppc64le") => Some("powerpc64le-unknown-linux-gnu"),
        ("linux", "s390x") => Some("s390x-unknown-linux-gnu"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(order: u8, system: u8, machine: u16) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, order, 1, system, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0];
        header.extend(if order == 2 { machine.to_be_bytes() } else { machine.to_le_bytes() });
        header
    }

    fn mach_o(cpu: u32) -> Vec<u8> {
        [&[0xcf, 0xfa, 0xed, 0xfe][..], &cpu.to_le_bytes(), &[0; 12]].concat()
    }

    #[test]
    fn headers_say_what_a_program_is_for() {
        for (program, named) in [
            (elf(1, 0, 62), "linux on amd64"),
            (elf(1, 3, 183), "linux on arm64"),
            (elf(1, 0, 243), "linux on riscv64"),
            (elf(2, 0, 22), "linux on s390x"),
            (elf(1, 9, 62), "freebsd on amd64"),
            (mach_o(0x0100_000c), "darwin on arm64"),
            (mach_o(0x0100_0007), "darwin on amd64"),
            (b"MZ".iter().copied().chain([0; HEADER]).collect(), "windows on another processor"),
        ] {
            assert_eq!(target(&program).map(|target| target.to_string()).as_deref(), Some(named));
        }
        for other in [&b"#!/bin/sh\n and much more"[..], b"", &elf(1, 0, 62)[..HEADER - 1]] {
            assert_eq!(target(other), None);
        }
    }

    #[test]
    fn only_what_the_engine_can_run_is_taken() {
        let engine = About { is_podman: false, system: "linux".into(), processor: "arm64".into() };
        let place = crate::engine::docker::place::find(|_| None, |_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
        let check = |program: &[u8]| check(Path::new("labctl"), program, &engine, &place);
        assert!(check(&elf(1, 0, 183)).is_ok());
        for (program, is) in [
            (elf(1, 0, 62), "for linux on amd64"),
            (mach_o(0x0100_000c), "for darwin on arm64"),
            (b"text".to_vec(), "no program that is known"),
        ] {
            let problem = check(&program).unwrap_err();
            assert!(problem.to_string().contains(is) && problem.to_string().contains("linux on arm64"), "{problem}");
            assert!(problem.hint().unwrap().contains("TARGET=aarch64-unknown-linux-gnu"), "{problem}");
        }
    }
}
