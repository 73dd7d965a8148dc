//! `labctl new`: a lab from a template.

use std::{fs, path::Path};

use crate::{
    cli::{args::New, error::Error, exit::Exit, labfile, naming::Shell},
    reading,
};

/// Writes the template's files into a new folder; one that holds other things is used, but no file is overwritten.
pub fn run(shell: &Shell, args: &New) -> Result<Exit, Error> {
    let template = reading::templates().iter().find(|template| template.name == args.template).ok_or_else(|| {
        let known = reading::templates().iter().map(|template| template.name.to_owned()).collect();
        Error::UnknownTemplate { name: args.template.clone(), known }
    })?;
    let paths: Vec<_> = template.files.iter().map(|(name, text)| (args.folder.join(name), text)).collect();
    if let Some((path, _)) = paths.iter().find(|(path, _)| path.exists()) {
        return Err(Error::Exists { path: path.clone() });
    }
    for (path, text) in &paths {
        let folder = path.parent().unwrap_or(&args.folder);
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
        fs::write(path, text).map_err(Error::file("write", path))?;
    }
    let folder = &args.folder;
    shell.out.note(format_args!("made `{}` from template `{}`: {}", folder.display(), template.name, template.about));
    let file = folder.join(labfile::NAME);
    shell.out.note(format_args!("edit `{}`, then: labctl up {}", file.display(), quoted(folder)));
    Ok(Exit::Done)
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '/' | '.' | '-' | '_' | '+' | ',' | '@');
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        let table = [
            ("labs/practica-2", "labs/practica-2"),
            ("Práctica", "Práctica"),
            ("bar baz", "'bar baz'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
        ];
        for (path, shown) in table {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
