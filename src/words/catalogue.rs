//! The catalogues: which languages there are, and their messages. A language's catalogue is read when something is first said in it.

use std::sync::OnceLock;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

/// Each language's code with its catalogue, by code.
const CATALOGUES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogues.rs"));

/// The messages of a kind of check that only the tests know.
#[cfg(test)]
const TESTS: &str = include_str!("../marking/checks/made_up.ftl");

type Bundle = FluentBundle<FluentResource>;

/// A language that labctl speaks: one of the catalogues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lang(&'static str);

impl Default for Lang {
    fn default() -> Self {
        Self::ENGLISH
    }
}

impl Lang {
    /// English, which stands in where another catalogue has a hole.
    pub const ENGLISH: Self = Self("en");

    /// Spanish.
    pub const SPANISH: Self = Self("es");

    /// The languages that there are, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        CATALOGUES.iter().map(|(code, _)| Self(code))
    }

    /// The language of `es`, `es_ES.UTF-8` and the like; English for what labctl does not speak.
    pub fn from_code(code: &str) -> Self {
        let language = code.split(['_', '-', '.', '@']).next().unwrap_or("");
        Self::all().find(|lang| lang.0.eq_ignore_ascii_case(language)).unwrap_or_default()
    }

    /// Its code in the lab's texts.
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// The message of this id with these arguments.
    pub(super) fn format(self, id: &str, args: &FluentArgs<'_>) -> String {
        let said = [self, Self::ENGLISH].into_iter().find_map(|lang| {
            let bundle = lang.bundle();
            let pattern = bundle.get_message(id)?.value()?;
            Some(bundle.format_pattern(pattern, Some(args), &mut Vec::new()).into_owned())
        });
        said.unwrap_or_else(|| id.to_owned())
    }

    fn bundle(self) -> &'static Bundle {
        static READ: [OnceLock<Bundle>; CATALOGUES.len()] = [const { OnceLock::new() }; CATALOGUES.len()];
        let place = CATALOGUES.iter().position(|(code, _)| *code == self.0).unwrap_or(0);
        let (code, text) = CATALOGUES[place];
        READ[place].get_or_init(|| bundle(code, text))
    }
}

/// A test sees that every catalogue is whole, so what cannot be read is only ever left out.
fn bundle(code: &str, text: &str) -> Bundle {
    let language = code.parse::<LanguageIdentifier>().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![language]);
    // Marks of direction round each argument would be signs that a terminal shows.
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    #[cfg(test)]
    bundle.add_resource_overriding(FluentResource::try_new(TESTS.to_owned()).expect("it parses"));
    bundle
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::Path,
    };

    use super::*;

    /// The messages of a catalogue with the names of their arguments.
    fn messages(code: &str) -> BTreeMap<String, BTreeSet<String>> {
        let (_, text) = CATALOGUES.iter().find(|(own, _)| *own == code).expect("a catalogue");
        assert!(FluentResource::try_new((*text).to_owned()).is_ok(), "`{code}.ftl` does not parse");
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut last = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((id, _)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                last = id.to_owned();
                assert!(found.insert(last.clone(), BTreeSet::new()).is_none(), "`{id}` stands twice in `{code}.ftl`");
            }
            for rest in line.split('$').skip(1) {
                let name = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                found.get_mut(&last).expect("an argument of a message").insert(name);
            }
        }
        found
    }

    /// The ids that the source names.
    fn used() -> BTreeSet<String> {
        fn walk(folder: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).expect("src is readable").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    walk(&entry, found);
                } else if entry.extension().is_some_and(|kind| kind == "rs") {
                    let text = fs::read_to_string(&entry).expect("source is UTF-8");
                    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                    // Patterns name some by a helper of theirs.
                    let named = entry.ends_with("words/mod.rs").then(|| code.split("named(\"").skip(1));
                    let ids = code.split("phrase(\"").skip(1).chain(named.into_iter().flatten());
                    let id = |rest: &str| rest.split('"').next().filter(|id| is_id(id)).map(str::to_owned);
                    found.extend(ids.filter_map(id));
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found
    }

    fn is_id(text: &str) -> bool {
        !text.is_empty()
            && !text.starts_with("test-")
            && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
    }

    #[test]
    fn every_catalogue_is_whole() {
        let english = messages("en");
        for (code, _) in CATALOGUES {
            let own = messages(code);
            assert_eq!(own.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "`{code}.ftl`");
            for (id, arguments) in &own {
                assert!(arguments.is_subset(&english[id]), "`{id}` of `{code}.ftl` names what it is not given");
            }
        }
        assert!(CATALOGUES.len() >= 2);
    }

    #[test]
    fn every_message_that_is_said_exists_and_every_other_is_gone() {
        let english: BTreeSet<String> = messages("en").into_keys().collect();
        let used = used();
        let missing: Vec<_> = used.difference(&english).collect();
        assert!(missing.is_empty(), "no catalogue has {missing:?}");
        let spare: Vec<_> = english.difference(&used).collect();
        assert!(spare.is_empty(), "nobody says {spare:?}");
    }

    #[test]
    fn a_language_is_known_by_its_code() {
        assert_eq!([Lang::from_code("es_ES.UTF-8"), Lang::from_code("ES")], [Lang::SPANISH; 2]);
        assert_eq!([Lang::from_code("en"), Lang::from_code("xx"), Lang::from_code("C.UTF-8")], [Lang::ENGLISH; 3]);
    }
}
