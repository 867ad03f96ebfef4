//! The house rules: floors, homes of outside libraries, file heads, lengths, pure rooms, honest documents.
//!
//! Each rule is a function over the files given to it, so that a fault can be planted in memory to prove the rule.

#[cfg(test)]
#[path = "tidy/lexer.rs"]
mod lexer;
#[cfg(test)]
#[path = "tidy/planted.rs"]
mod planted;
#[cfg(test)]
#[path = "tidy/rules.rs"]
mod rules;

#[cfg(test)]
mod walk {
    //! Reads the repository into memory.

    use std::fs;
    use std::path::Path;

    use crate::rules::File;

    /// What holds nothing of ours: what was built, and what git keeps (a file, in a worktree).
    const SKIPPED: [&str; 2] = ["target", ".git"];

    /// Every file of the repository; what is not text is kept as far as it can be read.
    pub(crate) fn repository() -> Vec<File> {
        let mut files = Vec::new();
        gather(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
        files
    }

    fn gather(folder: &Path, prefix: &str, files: &mut Vec<File>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let kind = entry.file_type().unwrap();
            if SKIPPED.contains(&name.as_str()) || name.starts_with("signa.db") {
                continue;
            }
            if kind.is_dir() {
                gather(&entry.path(), &path, files);
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                files.push(File::new(&path, &String::from_utf8_lossy(&bytes)));
            }
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let files = walk::repository();
    let faults: Vec<String> = rules::RULES.iter().flat_map(|(_, rule)| rule(&files)).collect();
    assert!(faults.is_empty(), "{} faults against the house rules:\n{}", faults.len(), faults.join("\n"));
}
