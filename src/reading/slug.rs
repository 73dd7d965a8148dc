//! Names out of what people and spreadsheets write: `Grupo 5` becomes `grupo-5`, `José Peña` becomes `jose-pena`.

use crate::names::MAX_NAME;

/// Letters with marks, by what they become. Others that are not ASCII become `-`.
const FOLDED: &[(&str, &str)] = &[
    ("áàâäãåāăą", "a"),
    ("æ", "ae"),
    ("çćčĉ", "c"),
    ("ďđð", "d"),
    ("éèêëēėęě", "e"),
    ("ğĝģ", "g"),
    ("íìîïīįı", "i"),
    ("ķ", "k"),
    ("łľĺļ", "l"),
    ("ñńňņ", "n"),
    ("óòôöõōőø", "o"),
    ("œ", "oe"),
    ("řŕ", "r"),
    ("śšşș", "s"),
    ("ß", "ss"),
    ("ťţțþ", "t"),
    ("úùûüūůűų", "u"),
    ("ýÿ", "y"),
    ("źžż", "z"),
    ("ªº", ""),
];

/// Lower case, without accents: what headers and names are compared by.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        let combining = ('\u{300}'..='\u{36f}').contains(&letter);
        match FOLDED.iter().find(|(letters, _)| letters.contains(letter)) {
            Some((_, plain)) => folded.push_str(plain),
            None if combining => {}
            None => folded.push(letter),
        }
    }
    folded
}

/// A name of letters, digits, `-`, `_` and `.`, or nothing where no letter or digit is left. Runs of other characters become one `-`.
pub fn slug(text: &str) -> String {
    let mut name = String::new();
    for letter in fold(text.trim()).chars() {
        let kept = letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
        if kept && (letter.is_ascii_alphanumeric() || !name.is_empty()) {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(MAX_NAME);
    name.truncate(name.trim_end_matches('-').len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_name() {
        let table = [
            ("Grupo 5", "grupo-5"),
            ("José Peña", "jose-pena"),
            ("jose\u{301}", "jose"),
            (" -x-- y! ", "x-y"),
            ("Straße_1.b", "strasse_1.b"),
            ("漢字", ""),
            ("..", ""),
        ];
        for (text, name) in table {
            assert_eq!(slug(text), name);
        }
        assert_eq!(slug(&"é".repeat(MAX_NAME + 1)).len(), MAX_NAME);
    }
}
