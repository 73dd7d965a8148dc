//! From octets to text: what a spreadsheet or an editor may have made of a file.

use super::diagnostic::{Code, File, Findings, Place, Severity, Span};

/// The largest lab file or roster, in octets.
pub const MAX_FILE: usize = 8 << 20;

/// Why octets are not the text they should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecoded {
    code: Code,
    file: File,
    span: Span,
    message: String,
    help: &'static str,
}

impl Undecoded {
    /// Whether there is no text at all.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Notes it.
    pub fn note(self, findings: &mut Findings<'_>) {
        let place = Place { file: self.file, span: self.span };
        findings.add(self.code, place, self.message).help(self.help);
    }
}

/// The text of a lab file, without a byte order mark.
pub fn lab(octets: &[u8]) -> (String, Option<Undecoded>) {
    if let Some(problem) = no_text(octets, File::Lab) {
        return (String::new(), Some(problem));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    match str::from_utf8(octets) {
        Ok(text) => (plain(text), None),
        Err(problem) => {
            let (before, after) = octets.split_at(problem.valid_up_to());
            let before = plain(&String::from_utf8_lossy(before));
            let at = before.len();
            let text = before + &plain(&String::from_utf8_lossy(after));
            let message = "the lab file is not UTF-8 from here on".to_owned();
            let help = "save it as UTF-8";
            (text, Some(Undecoded { code: Code::NotText, file: File::Lab, span: at..at + 3, message, help }))
        }
    }
}

/// The text of a roster, without a byte order mark; what is not UTF-8 is taken for Windows-1252, which has no wrong octets.
pub fn roster(octets: &[u8]) -> (String, Option<Undecoded>) {
    if let Some(problem) = no_text(octets, File::Roster) {
        return (String::new(), Some(problem));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    match str::from_utf8(octets) {
        Ok(text) => (plain(text), None),
        Err(problem) => {
            let decode = |octets| plain(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(octets).0);
            let (before, after) = octets.split_at(problem.valid_up_to());
            let (before, after) = (decode(before), decode(after));
            let span = before.len()..before.len() + after.chars().next().map_or(0, char::len_utf8);
            let message = "the roster is not UTF-8 and was read as Windows-1252".to_owned();
            let help = "if names look wrong, save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")";
            (before + &after, Some(Undecoded { code: Code::NotUtf8, file: File::Roster, span, message, help }))
        }
    }
}

/// With LF line ends, which is what places and carets are counted in.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn no_text(octets: &[u8], file: File) -> Option<Undecoded> {
    let what = match file {
        File::Lab => "the lab file",
        File::Roster => "the roster",
    };
    let problem = |code, message, help| Some(Undecoded { code, file, span: 0..0, message, help });
    if octets.len() > MAX_FILE {
        let message = format!("{what} has more than {MAX_FILE} octets");
        return problem(Code::TooLarge, message, "make several labs of the class");
    }
    if octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff") || octets.contains(&0) {
        let message = format!("{what} is no UTF-8 text: it is UTF-16 or not text at all");
        return problem(Code::NotText, message, "save it as UTF-8 (a roster from a spreadsheet: as \"CSV UTF-8\")");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_limited() {
        assert_eq!(lab(&vec![b'#'; MAX_FILE]).1, None);
        assert_eq!(lab(&vec![b'#'; MAX_FILE + 1]).1.unwrap().code, Code::TooLarge);
        assert_eq!(roster(&vec![b'#'; MAX_FILE + 1]).1.unwrap().code, Code::TooLarge);
    }

    #[test]
    fn what_spreadsheets_write_is_told_apart() {
        assert_eq!(roster(b"\xef\xbb\xbfa"), ("a".to_owned(), None));
        let (text, problem) = roster(b"Jos\xe9 \x80");
        assert_eq!(text, "José €");
        assert_eq!(problem.unwrap().span, 3..5);
        for octets in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0"] {
            assert_eq!(roster(octets).1.unwrap().code, Code::NotText);
            assert_eq!(lab(octets).1.unwrap().code, Code::NotText);
        }
        assert_eq!(lab(b"a = \"\xe9\"").1.unwrap().span.start, 5);
    }
}
