//! The machine: what it is, and the two places that servers keep their files in: a journaled ext4 and a tmpfs.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use crate::{Fallible, figure::Sample};

/// The ext4 image; what all rounds of the whole benchmark write fits three times.
const IMAGE: &str = "8G";

/// Writes that the probe of the disk makes.
const PROBES: usize = 200;

/// How long the machine is watched before anything starts.
const WATCH: Duration = Duration::from_secs(2);

/// Where servers keep their files.
pub struct Workplace {
    /// A journaled ext4 on a loop device. Nothing on it is deleted before the end.
    pub disk: PathBuf,
    /// A tmpfs.
    pub memory: PathBuf,
}

impl Workplace {
    /// Mounts both; the mount namespace takes them away when the benchmark ends.
    pub fn mount() -> Fallible<Self> {
        let base = env::temp_dir().join(format!("labctl-bench-{}", process::id()));
        fs::create_dir_all(&base)?;
        run("mount", &["-t", "tmpfs", "-o", "mode=755", "labctl-bench", text(&base)?])?;
        let place = Self { disk: base.join("disk"), memory: base.join("memory") };
        fs::create_dir(&place.disk)?;
        fs::create_dir(&place.memory)?;
        // The root file system may have no journal, and deleting many files makes that one slow for everybody after.
        let image = Path::new("/var/tmp").join(format!("labctl-bench-{}.ext4", process::id()));
        run("fallocate", &["-l", IMAGE, text(&image)?])?;
        let mounted = run("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image)?])
            .and_then(|()| run("mount", &["-o", "loop", text(&image)?, text(&place.disk)?]));
        // The loop device keeps the image until the namespace goes.
        fs::remove_file(&image)?;
        mounted?;
        fs::set_permissions(&place.disk, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(place)
    }

    /// What a reader of the figures must know, name and value.
    pub fn facts(&self) -> Fallible<Vec<(String, String)>> {
        let first = |path: &str, start: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines()
                .find_map(|line| line.strip_prefix(start))
                .unwrap_or("")
                .trim_matches([' ', '\t', ':'])
                .to_owned()
        };
        let facts = [
            ("processor", format!("{} × {}", thread::available_parallelism()?, first("/proc/cpuinfo", "model name"))),
            ("memory", first("/proc/meminfo", "MemTotal")),
            ("kernel", first("/proc/sys/kernel/osrelease", "")),
            ("disk", format!("ext4 with journal on a loop device, fdatasync {:.2} ms", self.probe()?.median())),
            ("busy before", format!("{:.0} % of all processors: the less, the steadier the figures", busy()?)),
        ];
        Ok(facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// How long a small append takes to be durable, in milliseconds.
    fn probe(&self) -> Fallible<Sample> {
        let mut file = fs::File::create(self.disk.join("probe"))?;
        let mut sample = Sample::default();
        for _ in 0..PROBES {
            let started = Instant::now();
            file.write_all(&[b'x'; 4096])?;
            file.sync_data()?;
            sample.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(sample)
    }
}

/// How much of the processors others use while the benchmark does nothing, in percent.
fn busy() -> Fallible<f64> {
    let read = || -> Fallible<(f64, f64)> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // user nice system idle iowait … (proc(5))
        Ok((ticks.iter().skip(3).take(2).sum(), ticks.iter().take(8).sum()))
    };
    let (idle, all) = read()?;
    thread::sleep(WATCH);
    let (idle_then, all_then) = read()?;
    Ok(100.0 - 100.0 * (idle_then - idle) / (all_then - all).max(1.0))
}

/// A fresh folder in `base` that any user may walk through.
pub fn folder(base: &Path, name: &str) -> Fallible<PathBuf> {
    let path = base.join(name);
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Brings everything written to `place` to the disk, so that one run does not pay for the one before.
pub fn settle(place: &Path) -> Fallible<()> {
    run("sync", &["-f", text(place)?])
}

/// Runs a command to its end; what it said is part of the error.
pub fn run(program: &str, arguments: &[&str]) -> Fallible<()> {
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("start `{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}` failed ({}): {}", arguments.join(" "), output.status, said.trim()).into())
}

/// Waits until `ready` holds, at most `limit`.
pub fn wait_for(what: &str, limit: Duration, mut ready: impl FnMut() -> Fallible<bool>) -> Fallible<()> {
    let started = Instant::now();
    while !ready()? {
        if started.elapsed() > limit {
            return Err(format!("{what}: not after {} s", limit.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A path for a command line.
pub fn text(path: &Path) -> Fallible<&str> {
    path.to_str().ok_or_else(|| format!("`{}` is not UTF-8", path.display()).into())
}
