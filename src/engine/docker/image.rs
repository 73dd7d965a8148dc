//! The images of a lab. The server's is this program and nothing else; the client's is built from `images/client`, which
//! travels in this program. Both are tagged by their content, so nothing is built twice, and neither needs a network.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use bollard::{body_full, models::BuildInfo, query_parameters::BuildImageOptions};
use tokio_stream::StreamExt as _;

use super::{
    Docker, DockerError, failed,
    make::{SERVER_DIR, SERVER_USER},
    status,
};
use crate::plan::docker::digest;

/// The base of the client image unless another is named; `images/base.sh` builds it.
pub const BASE: &str = "labctl-base";

/// Where an ELF program names its loader: near its start, before its code.
const ELF_HEAD: usize = 64 << 10;

/// The files of the client image.
const CLIENT: [(&str, &str); 3] = [
    ("Dockerfile", include_str!("../../../images/client/Dockerfile")),
    ("bashrc", include_str!("../../../images/client/bashrc")),
    ("greeting", include_str!("../../../images/client/greeting")),
];

impl Docker {
    /// The server's image, built if there is none of this content and it should be.
    pub async fn server_image(&self, build: bool, built: impl FnOnce(&str)) -> Result<String, DockerError> {
        let unreadable = |problem: io::Error| DockerError::Image {
            image: "labctl-server".into(),
            why: format!("this program cannot be read: {problem}"),
            hint: None,
        };
        let files = own_files().map_err(unreadable)?;
        let image = tagged("labctl-server", files.iter().map(|(path, octets)| (path.as_str(), octets.as_slice())));
        if !build || self.has(&image).await? {
            return Ok(image);
        }
        built(&image);
        let root = root(&files).map_err(unreadable)?;
        let dockerfile = "FROM scratch\nADD root.tar /\nENV LD_LIBRARY_PATH=/lib\nENTRYPOINT [\"/labctl\"]\n";
        self.build(&image, &[("Dockerfile", dockerfile.as_bytes()), ("root.tar", &root)], None).await?;
        Ok(image)
    }

    /// The client's image on a base, built if there is none of this content and it should be.
    pub async fn client_image(&self, base: &str, build: bool, built: impl FnOnce(&str)) -> Result<String, DockerError> {
        let named = [("base", base.as_bytes())];
        let files = CLIENT.map(|(path, text)| (path, text.as_bytes()));
        let image = tagged("labctl-client", files.into_iter().chain(named));
        if !build || self.has(&image).await? {
            return Ok(image);
        }
        if !self.has(base).await? {
            return Err(DockerError::Image {
                image: base.to_owned(),
                why: "the Engine has no such image to build the clients' on".into(),
                hint: Some(
                    "build it from Debian's packages with `images/base.sh` (`make images`), or name one that is there \
                     with `--base`, or a whole client image with `--client-image`"
                        .into(),
                ),
            });
        }
        built(&image);
        self.build(&image, &files, Some(base)).await?;
        Ok(image)
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
        match self.api.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(answer) if status(&answer) == Some(404) => Ok(false),
            Err(answer) => Err(failed(format!("look for image `{image}`"))(answer)),
        }
    }

    async fn build(&self, image: &str, files: &[(&str, &[u8])], base: Option<&str>) -> Result<(), DockerError> {
        let broken = |why: String| DockerError::Image { image: image.to_owned(), why, hint: None };
        let mut context = tar::Builder::new(Vec::new());
        for (path, octets) in files {
            append(&mut context, path, octets, 0o644).map_err(|problem| broken(problem.to_string()))?;
        }
        let context = context.into_inner().map_err(|problem| broken(problem.to_string()))?;
        let label = ("labctl.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let options = BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            t: Some(image.to_owned()),
            rm: true,
            labels: Some([label].into()),
            buildargs: base.map(|base| [("BASE".to_owned(), base.to_owned())].into()),
            ..Default::default()
        };
        let mut said = String::new();
        let mut steps = std::pin::pin!(self.api.build_image(options, None, Some(body_full(context.into()))));
        while let Some(step) = steps.next().await {
            let BuildInfo { stream, error_detail, .. } =
                step.map_err(|answer| broken(format!("{}\n{said}", super::told(&answer)).trim().to_owned()))?;
            said.push_str(&stream.unwrap_or_default());
            if let Some(problem) = error_detail.and_then(|detail| detail.message) {
                return Err(broken(format!("{problem}\n{said}").trim().to_owned()));
            }
        }
        Ok(())
    }
}

/// The name of an image with this content.
fn tagged<'a>(name: &str, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    format!("{name}:{}", digest(files.flat_map(|(path, octets)| [path.as_bytes(), octets])))
}

/// This program, and, unless it is static, the libraries that it runs with and its loader, by their paths in the image.
/// Also the time zone, for dates in replies.
fn own_files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let program = fs::read(env::current_exe()?)?;
    let mut files = Vec::new();
    if let Some(loader) = loader(&program) {
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

/// The file system of the server's image.
fn root(files: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut root = tar::Builder::new(Vec::new());
    let mut folders = BTreeSet::new();
    for (path, _) in files {
        let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        folders.extend(parents.into_iter().rev().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned));
    }
    for folder in &folders {
        append_folder(&mut root, folder, 0o755, 0)?;
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
    fn a_dynamic_program_names_its_loader_and_a_static_one_none() {
        assert_eq!(
            loader(b"\x7fELF\0\0/lib64/ld-linux-x86-64.so.2\0x").as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(loader(b"\x7fELF\0\0hello\0"), None);
    }
}
