//! Lists the catalogues of `src/words`: a language more is one file more.

use std::{env, fs, path::Path};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/words");
    println!("cargo:rerun-if-changed={}", folder.display());
    let names = fs::read_dir(&folder).expect("src/words is readable").map(|entry| entry.expect("an entry").path());
    let mut catalogues: Vec<_> = names.filter(|path| path.extension().is_some_and(|kind| kind == "ftl")).collect();
    catalogues.sort();
    let entry = |path: &std::path::PathBuf| {
        println!("cargo:rerun-if-changed={}", path.display());
        let code = path.file_stem().expect("a name").to_string_lossy();
        format!("({code:?}, include_str!({:?})),", path.display())
    };
    let list: String = catalogues.iter().map(entry).collect();
    let target = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("catalogues.rs");
    fs::write(target, format!("&[{list}]")).expect("OUT_DIR is writable");
}
