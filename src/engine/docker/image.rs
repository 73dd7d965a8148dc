//! The images of a lab. The server's is this program and nothing else; the client's is built from `images/client`, which
//! travels in this program. Both are tagged by their content, so nothing is built twice, and neither needs a network.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bollard::{body_full, models::BuildInfo, query_parameters::BuildImageOptions};
use tokio::time::sleep;
use tokio_stream::StreamExt as _;

use super::{
    DockerError, Host, base, failed,
    labels::VERSION,
    make::{SERVER_DIR, SERVER_USER},
    program, status,
};
use crate::{
    engine::{Lock, StateDir},
    plan::docker::digest,
};

/// Where an ELF program names its loader: near its start, before its code.
const ELF_HEAD: usize = 64 << 10;

/// The files of the client image.
const CLIENT: [(&str, &str); 4] = [
    ("Dockerfile", include_str!("../../../images/client/Dockerfile")),
    ("root/etc/labctl/bashrc", include_str!("../../../images/client/root/etc/labctl/bashrc")),
    ("root/etc/labctl/greeting", include_str!("../../../images/client/root/etc/labctl/greeting")),
    ("root/usr/local/bin/progress", include_str!("../../../images/client/root/usr/local/bin/progress")),
];

/// How images are made where there are none: one `labctl` at a time, and somebody hears of it.
pub struct Making<'a> {
    /// Where the others are kept out.
    pub state: &'a StateDir,
    /// Hears what is going on.
    pub say: &'a dyn Fn(&str),
}

/// How often it is looked whether another `labctl` has made its images.
const LOOK: Duration = Duration::from_millis(200);

impl Making<'_> {
    /// Waits until no other `labctl` of this state directory makes images.
    async fn alone(&self) -> Result<Lock, DockerError> {
        let mut told = false;
        loop {
            if let Some(lock) = self.state.images_lock()? {
                return Ok(lock);
            }
            if !told {
                (self.say)("another labctl makes images: waiting for it");
            }
            told = true;
            sleep(LOOK).await;
        }
    }
}

/// Whether a build may fetch packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    Yes,
    No,
}

impl Host {
    /// The server's image, of this program or of another one, built if there is none of this content and it should be.
    pub async fn server_image(&self, other: Option<&Path>, making: Option<&Making<'_>>) -> Result<String, DockerError> {
        let own = || env::current_exe().unwrap_or_else(|_| "labctl".into());
        let path = other.map_or_else(own, Path::to_owned);
        let unreadable = |problem: io::Error| DockerError::Image {
            image: "labctl-server".into(),
            why: format!("`{}` cannot be read: {problem}", path.display()),
            hint: None,
        };
        let binary = fs::read(&path).map_err(unreadable)?;
        program::check(&path, &binary, &self.about, &self.place)?;
        let files = files(binary, other.is_none()).map_err(unreadable)?;
        let image = tagged("labctl-server", files.iter().map(|(path, octets)| (path.as_str(), octets.as_slice())));
        let Some(making) = making else { return Ok(image) };
        if self.has(&image).await? {
            return Ok(image);
        }
        let _alone = making.alone().await?;
        if self.has(&image).await? {
            return Ok(image);
        }
        (making.say)(&format!("building image `{image}`"));
        let root = root(&files).map_err(unreadable)?;
        let dockerfile = "FROM scratch\nADD root.tar /\nENV LD_LIBRARY_PATH=/lib\nENTRYPOINT [\"/labctl\"]\n";
        self.build(&image, &[("Dockerfile", dockerfile.as_bytes()), ("root.tar", &root)], None).await?;
        Ok(image)
    }

    /// The client's image, built if there is none of this content and it should be: on the base that is named, else on one
    /// that is there, else on one that is pulled or made.
    pub async fn client_image(&self, base: Option<&str>, making: Option<&Making<'_>>) -> Result<String, DockerError> {
        let image = self.client_on(base).await?;
        let Some(making) = making else { return Ok(image) };
        if self.has(&image).await? {
            return Ok(image);
        }
        let _alone = making.alone().await?;
        let image = self.client_on(base).await?;
        if self.has(&image).await? {
            return Ok(image);
        }
        let say = making.say;
        let on = match base {
            Some(named) => self.named_base(named, say).await?,
            None => self.some_base(say).await?,
        };
        // What was pulled is known by its content only now.
        let image = self.client_on(base).await?;
        say(&format!("building image `{image}` on `{on}`"));
        let files = CLIENT.map(|(path, text)| (path, text.as_bytes()));
        // A base that has all it needs is built on without any network.
        let offline = self.build(&image, &files, Some((&on, Fetch::No))).await;
        if offline.is_err() && on != base::own() {
            say("the base lacks programs: they are fetched from Debian's packages, which takes minutes");
            self.build(&image, &files, Some((&on, Fetch::Yes))).await?;
            return Ok(image);
        }
        offline.map(|()| image)
    }

    /// What the client's image is called: by its files, and by the base that is named, which may change under its name. Where
    /// none is named the base has what the files want of it, whether it is pulled or made.
    async fn client_on(&self, base: Option<&str>) -> Result<String, DockerError> {
        let id = match base {
            Some(base) => self.id(base).await?.unwrap_or_default(),
            None => base::own(),
        };
        let on = [("base", base.unwrap_or_default().as_bytes()), ("id", id.as_bytes())];
        Ok(tagged("labctl-client", CLIENT.into_iter().map(|(path, text)| (path, text.as_bytes())).chain(on)))
    }

    async fn named_base(&self, base: &str, say: &dyn Fn(&str)) -> Result<String, DockerError> {
        if self.has(base).await? {
            return Ok(base.to_owned());
        }
        say(&format!("pulling image `{base}`"));
        let why = match self.pull(base).await {
            Ok(()) => return Ok(base.to_owned()),
            Err(why) => format!("the Engine has no such image, and it cannot be pulled: {why}"),
        };
        let hint = "name a Debian image that is there (`docker images`), or leave `--base` out".to_owned();
        Err(DockerError::Image { image: base.to_owned(), why, hint: Some(hint) })
    }

    async fn some_base(&self, say: &dyn Fn(&str)) -> Result<String, DockerError> {
        for base in [base::own(), base::DEBIAN.to_owned()] {
            if self.has(&base).await? {
                return Ok(base);
            }
        }
        say(&format!("pulling image `{}`", base::DEBIAN));
        let pulled = match self.pull(base::DEBIAN).await {
            Ok(()) => return Ok(base::DEBIAN.to_owned()),
            Err(why) => why,
        };
        let own = base::own();
        say(&format!("it cannot be pulled; making `{own}` from Debian's packages, once: this takes minutes"));
        match self.debootstrap(&own, say).await {
            Ok(()) => Ok(own),
            Err(made) => Err(base::none(&pulled, &made)),
        }
    }

    /// An image that somebody else made, which must be there.
    pub async fn image_of_others(&self, image: &str) -> Result<String, DockerError> {
        if self.has(image).await? {
            return Ok(image.to_owned());
        }
        let why = "the Engine has no such image".into();
        Err(DockerError::Image { image: image.to_owned(), why, hint: None })
    }

    async fn has(&self, image: &str) -> Result<bool, DockerError> {
        Ok(self.id(image).await?.is_some())
    }

    /// The digest of an image's content; none where there is no such image.
    async fn id(&self, image: &str) -> Result<Option<String>, DockerError> {
        match self.api.inspect_image(image).await {
            Ok(found) => Ok(Some(found.id.unwrap_or_default())),
            Err(answer) if status(&answer) == Some(404) => Ok(None),
            Err(answer) => Err(failed(format!("look for image `{image}`"))(answer)),
        }
    }

    async fn build(
        &self,
        image: &str,
        files: &[(&str, &[u8])],
        base: Option<(&str, Fetch)>,
    ) -> Result<(), DockerError> {
        let broken = |why: String| DockerError::Image { image: image.to_owned(), why, hint: None };
        let mut context = tar::Builder::new(Vec::new());
        // What is copied onto a folder may give it its mode: an Engine's for folders that are not named is its own business.
        for folder in folders(files.iter().map(|(path, _)| *path)) {
            append_folder(&mut context, &folder, 0o755, 0).map_err(|problem| broken(problem.to_string()))?;
        }
        for (path, octets) in files {
            let octets = match base {
                Some((_, Fetch::No)) if *path == "Dockerfile" => &without_fetching(octets),
                Some(_) | None => *octets,
            };
            append(&mut context, path, octets, 0o644).map_err(|problem| broken(problem.to_string()))?;
        }
        let context = context.into_inner().map_err(|problem| broken(problem.to_string()))?;
        let label = (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let options = BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            t: Some(image.to_owned()),
            rm: true,
            forcerm: true,
            labels: Some([label].into()),
            buildargs: base.map(|(base, _)| [("BASE".to_owned(), base.to_owned())].into()),
            networkmode: base.filter(|(_, fetch)| *fetch == Fetch::No).map(|_| "none".to_owned()),
            ..Default::default()
        };
        let mut said = String::new();
        let mut steps = std::pin::pin!(self.api.build_image(options, None, Some(body_full(context.into()))));
        while let Some(step) = steps.next().await {
            let BuildInfo { stream, error_detail, .. } =
                step.map_err(|answer| broken(format!("{}\n{said}", super::told(&answer)).trim().to_owned()))?;
            said.extend(stream.filter(|text| !is_echo(text)));
            if let Some(problem) = error_detail.and_then(|detail| detail.message) {
                return Err(broken(format!("{problem}\n{said}").trim().to_owned()));
            }
        }
        Ok(())
    }
}

/// A Dockerfile that fetches no packages.
fn without_fetching(dockerfile: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(dockerfile).replace("FETCH=yes", "FETCH=no").into_bytes()
}

/// Whether the Engine only repeats what it was told to do; what the programs say is of more use.
fn is_echo(text: &str) -> bool {
    ["Step ", " ---> ", "Removing intermediate"].iter().any(|start| text.starts_with(start)) || text.trim().is_empty()
}

/// The name of an image with this content.
fn tagged<'a>(name: &str, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    format!("{name}:{}", digest(files.flat_map(|(path, octets)| [path.as_bytes(), octets])))
}

/// A program, and, unless it is static, the libraries that it runs with and its loader, by their paths in the image. Only of
/// this one it is known which these are. Also the time zone, for dates in replies.
fn files(program: Vec<u8>, is_own: bool) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    if let Some(loader) = loader(&program) {
        if !is_own {
            return Err(io::Error::other("it is not static: `make dist` makes one that is"));
        }
        for library in libraries()? {
            let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((format!("lib/{name}"), fs::read(&library)?));
        }
        files.push((loader.trim_start_matches('/').to_owned(), fs::read(&loader)?));
    }
    files.push(("labctl".to_owned(), program));
    if let Ok(zone) = fs::read("/etc/localtime") {
        files.push(("etc/localtime".to_owned(), zone));
    }
    Ok(files)
}

/// The loader that a dynamically linked program names; none in a static one.
fn loader(program: &[u8]) -> Option<String> {
    let head = &program[..program.len().min(ELF_HEAD)];
    let mut texts = head.split(|octet| *octet == 0).filter_map(|text| std::str::from_utf8(text).ok());
    texts.find(|text| text.starts_with("/lib") && text.contains("/ld")).map(str::to_owned)
}

/// The libraries that are loaded into this process.
fn libraries() -> io::Result<BTreeSet<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let library = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
    Ok(paths.filter(library).filter(|path: &PathBuf| Path::new(path).exists()).collect())
}

/// The folders that files are in, each after the one that it is in.
fn folders<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<PathBuf> {
    let parents = paths.flat_map(|path| Path::new(path).ancestors().skip(1));
    parents.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect()
}

/// The file system of the server's image.
fn root(files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut root = tar::Builder::new(Vec::new());
    for folder in folders(files.iter().map(|(path, _)| path.as_str())) {
        append_folder(&mut root, &folder, 0o755, 0)?;
    }
    // A new volume takes over the owner of the folder that it is mounted on.
    let dir = Path::new(SERVER_DIR.trim_start_matches('/'));
    for folder in dir.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
        append_folder(&mut root, folder, 0o755, 0)?;
    }
    append_folder(&mut root, dir, 0o700, SERVER_USER)?;
    for (path, octets) in files {
        append(&mut root, path, octets, 0o755)?;
    }
    root.into_inner()
}

fn append_folder(archive: &mut tar::Builder<Vec<u8>>, path: &Path, mode: u32, owner: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    archive.append_data(&mut header, path, io::empty())
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, octets: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(octets.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, path, octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_has_the_same_tag_and_another_another() {
        let tag = |octets: &[u8]| tagged("x", [("a", octets)].into_iter());
        assert_eq!(tag(b"1"), tag(b"1"));
        assert_ne!(tag(b"1"), tag(b"2"));
        assert_eq!(tag(b"").len(), "x:".len() + 16);
    }

    #[test]
    fn the_clients_image_is_made_in_few_steps_and_fetches_only_where_it_may() {
        let (_, dockerfile) = CLIENT[0];
        let instructions = |word: &str| dockerfile.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(["USER ", "COPY ", "RUN ", "ENV ", "WORKDIR ", "CMD "].map(instructions), [1, 1, 1, 0, 0, 0]);
        assert!(!String::from_utf8(without_fetching(dockerfile.as_bytes())).unwrap().contains("FETCH=yes"));
    }

    #[test]
    fn a_dynamic_program_names_its_loader_and_a_static_one_none() {
        assert_eq!(
            loader(b"\x7fELF\0\0/lib64/ld-linux-x86-64.so.2\0x").as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(loader(b"\x7fELF\0\0hello\0"), None);
    }
}
