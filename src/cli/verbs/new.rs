//! `labctl new`: a lab from a template.

use std::fs;

use crate::{
    cli::{
        args::New,
        error::{Error, shell_word},
        exit::Exit,
        labfile,
        naming::Shell,
    },
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
    let shown = args.folder.display();
    shell.out.note(format_args!("made `{}` from template `{}`: {}", shown, template.name, template.about));
    let word = shell_word(&shown.to_string());
    shell.out.note(format_args!("edit `{}`, then: labctl up {word}", args.folder.join(labfile::NAME).display()));
    Ok(Exit::Done)
}
