//! The rules themselves. A new rule is a function here, its line in `RULES`, and a planted fault beside the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer;

/// One file of the repository.
pub(crate) struct File {
    /// From the top of the repository, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_a(&self, kinds: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, kind)| kinds.contains(&kind))
    }

    fn is_rust(&self) -> bool {
        self.is_a(&["rs"])
    }

    /// The room under `src/` in which the file lies; files of the top floor are rooms of their own.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/").filter(|_| self.is_rust())?;
        Some(inside.split('/').next()?.trim_end_matches(".rs"))
    }

    fn fault(&self, line: usize, says: &str) -> String {
        format!("{}:{line}: {says}", self.path)
    }
}

type Rule = fn(&[File]) -> Vec<String>;

/// Every rule with the name by which its planted fault is found.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("floors", floors),
    ("homes", homes),
    ("heads", heads),
    ("lengths", lengths),
    ("depth", depth),
    ("pure", pure),
    ("sql", sql),
    ("placeholders", placeholders),
    ("waiting", waiting),
    ("unfinished", unfinished),
    ("orphans", orphans),
    ("documents", documents),
    ("private", private),
    ("migrations", migrations),
    ("golden", golden),
];

/// The floors, lowest first. The clock lies on the ground because the ledger stamps with it; of the top, each is
/// told about the ones before it.
const FLOORS: [&[&str]; 8] = [
    &["fhir", "clock"],
    &["ledger"],
    &["check", "identify", "react", "speak"],
    &["flow"],
    &["arrive", "beat"],
    &["config"],
    &["command"],
    &["main"],
];

/// Outside libraries and the only rooms that may name them.
const HOMES: [(&str, &[&str]); 14] = [
    ("axum", &["arrive"]),
    ("tower", &["arrive"]),
    ("tower_http", &["arrive"]),
    ("hyper", &["arrive"]),
    ("hyper_util", &["arrive"]),
    ("jsonwebtoken", &["arrive"]),
    ("sqlx", &["ledger"]),
    ("rusqlite", &["ledger"]),
    ("reqwest", &["speak"]),
    ("fhirbolt", &["fhir"]),
    ("quick_xml", &["fhir"]),
    ("clap", &["config", "command", "main"]),
    ("indicatif", &["command"]),
    ("anyhow", &["config", "command", "main"]),
];

const LINES_MAX: usize = 500;
const FOLDERS_MAX: usize = 2;
const PURE: [&str; 3] = ["check", "identify", "react"];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// A room names only rooms on floors below its own.
fn floors(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let Some(room) = file.room().filter(|room| *room != "lib") else { continue };
        let Some(own) = floor(room) else {
            faults.push(file.fault(1, &format!("`{room}` stands on no floor: give it one in tests/tidy/rules.rs")));
            continue;
        };
        let depth = file.path.trim_end_matches("/mod.rs").matches('/').count();
        for (line, path) in lexer::paths(&lexer::split(&file.text).code) {
            let Some(named) = named_room(&path, depth) else { continue };
            if named == "*" {
                faults.push(file.fault(line, "takes in the whole crate: name the room"));
            } else if named != room && floor(named).is_some_and(|other| other >= own) {
                faults.push(file.fault(line, &format!("`{room}` may not name `{named}`: it is not on a floor below")));
            }
        }
    }
    faults
}

/// The room at the crate's root that a path leads to. `super` leaves the room when there is one for each module.
fn named_room(path: &[String], depth: usize) -> Option<&str> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path[0].as_str() {
        "crate" | "signa" => path.get(1).map(String::as_str),
        "super" if supers >= depth => path.get(supers).map(String::as_str).filter(|name| floor(name).is_some()),
        _ => None,
    }
}

/// Each outside library has one home.
fn homes(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        let Some(room) = file.room() else { continue };
        for (line, path) in lexer::paths(&lexer::split(&file.text).code) {
            let home = HOMES.iter().find(|(library, rooms)| *library == path[0] && !rooms.contains(&room));
            if let Some((library, rooms)) = home {
                faults.push(file.fault(line, &format!("`{library}` is at home in {} alone", rooms.join(", "))));
            }
        }
    }
    faults
}

/// A file says in its first line what it is for.
fn heads(files: &[File]) -> Vec<String> {
    let unsaid = |file: &&File| match file.text.lines().next() {
        Some(line) if file.is_rust() => !line.starts_with("//! ") || line.len() < 16,
        _ => file.is_rust(),
    };
    files.iter().filter(unsaid).map(|file| file.fault(1, "opens without a `//!` sentence that says what it is for")).collect()
}

/// No file is longer than can be read in one go.
fn lengths(files: &[File]) -> Vec<String> {
    let long = files.iter().filter(|file| file.is_a(&["rs", "py", "sql"]) && file.text.lines().count() > LINES_MAX);
    long.map(|file| file.fault(LINES_MAX, &format!("is longer than {LINES_MAX} lines"))).collect()
}

/// Folders are not nested deeper than can be remembered.
fn depth(files: &[File]) -> Vec<String> {
    let deep = |file: &&File| file.path.strip_prefix("src/").is_some_and(|inside| inside.matches('/').count() > FOLDERS_MAX);
    files.iter().filter(deep).map(|file| file.fault(1, &format!("lies deeper than {FOLDERS_MAX} folders"))).collect()
}

/// Rooms that decide touch nothing outside and wait for nothing.
fn pure(files: &[File]) -> Vec<String> {
    let outside = ["fs", "net", "env", "process", "thread"];
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.room().is_some_and(|room| PURE.contains(&room))) {
        let code = lexer::split(&file.text).code;
        for (index, line) in code.lines().enumerate() {
            if line.contains(".await") || line.split_whitespace().any(|word| word == "async") {
                faults.push(file.fault(index + 1, "waits, in a room that only decides"));
            }
        }
        for (line, path) in lexer::paths(&code) {
            let reaches = path[0] == "std" && outside.contains(&path[1].as_str());
            if reaches || path[0] == "tokio" {
                faults.push(file.fault(line, &format!("`{}` does not belong in a room that only decides", path.join("::"))));
            }
        }
    }
    faults
}

fn is_sql(text: &str) -> bool {
    let pairs = [("SELECT ", "FROM "), ("UPDATE ", "SET "), ("INSERT ", "INTO "), ("DELETE ", "FROM ")];
    let alone = ["CREATE TABLE", "CREATE INDEX", "ALTER TABLE", "DROP TABLE", "PRAGMA "];
    pairs.iter().any(|(first, second)| text.find(first).is_some_and(|at| text[at..].contains(second)))
        || alone.iter().any(|word| text.contains(word))
}

/// SQL is spoken in the ledger alone.
fn sql(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.room().is_some_and(|room| room != "ledger")) {
        let strings = lexer::split(&file.text).strings;
        faults.extend(
            strings.iter().filter(|(_, text)| is_sql(text)).map(|(line, _)| file.fault(*line, "speaks SQL outside src/ledger")),
        );
    }
    faults
}

/// `$1`, `$2` … appear in ascending order: one of the two drivers binds them by first appearance, without an error.
fn placeholders(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.room() == Some("ledger")) {
        for (line, text) in lexer::split(&file.text).strings.iter().filter(|(_, text)| is_sql(text)) {
            let mut highest = 0;
            for piece in text.split('$').skip(1) {
                let digits: String = piece.chars().take_while(char::is_ascii_digit).collect();
                let Ok(number) = digits.parse::<usize>() else { continue };
                if number > highest + 1 {
                    faults.push(file.fault(*line, &format!("`${number}` appears before `${}`", highest + 1)));
                }
                highest = highest.max(number);
            }
        }
    }
    faults
}

/// Nothing waits by sleeping, and no test is skipped or content with a panic.
fn waiting(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && file.path != "src/clock.rs") {
        for (index, line) in lexer::split(&file.text).code.lines().enumerate() {
            for (word, why) in
                [("#[ignore", "skips a test"), ("#[should_panic", "is content with any panic"), ("sleep(", "sleeps")]
            {
                if line.contains(word) {
                    faults.push(file.fault(index + 1, &format!("`{word}` {why}")));
                }
            }
        }
    }
    faults
}

/// Nothing is left for later in the code.
fn unfinished(files: &[File]) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_a(&["rs", "sql", "py", "toml"])) {
        for (index, line) in file.text.lines().enumerate() {
            let word = words.iter().find(|word| line.contains(*word));
            faults.extend(word.map(|word| file.fault(index + 1, &format!("`{word}`: finish it or file it"))));
        }
    }
    faults
}

/// Every Rust file is part of the crate or of the tests: its door lists it.
fn orphans(files: &[File]) -> Vec<String> {
    let texts: BTreeMap<&str, &str> = files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let whole = file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let Some((folder, name)) = whole.rsplit_once('/') else { continue };
        let door = match folder {
            "src" if name != "main" && name != "lib" => String::from("src/lib.rs"),
            "tests/it" if name != "main" => String::from("tests/it/main.rs"),
            inside if inside.starts_with("src/") => format!("{inside}/mod.rs"),
            _ => continue,
        };
        let list = texts.get(door.as_str()).copied().unwrap_or_default();
        let main = if folder == "src" { texts.get("src/main.rs").copied().unwrap_or_default() } else { "" };
        let line = format!("mod {name};");
        if !list.contains(&line) && !main.contains(&line) {
            faults.push(file.fault(1, &format!("is listed nowhere: `{door}` lacks `{line}`")));
        }
    }
    faults
}

/// README and the other documents name only paths that exist.
fn documents(files: &[File]) -> Vec<String> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for file in files {
        let parts: Vec<&str> = file.path.split('/').collect();
        known.extend((1..=parts.len()).map(|length| parts[..length].join("/")));
    }
    let tops: BTreeSet<&str> = known.iter().filter(|path| !path.contains('/')).map(String::as_str).collect();
    let rooms: BTreeSet<&str> = FLOORS.iter().flat_map(|rooms| rooms.iter().copied()).collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_a(&["md"])) {
        let near = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in file.text.lines().enumerate() {
            for path in named_paths(line) {
                let top = path.split('/').next().unwrap_or_default();
                let is_folder = path.contains('/');
                let full = match () {
                    () if is_folder && rooms.contains(top) => format!("src/{path}"),
                    () if is_folder && tops.contains(top) => path.to_owned(),
                    () if line.contains(&format!("]({path}")) && !near.is_empty() => format!("{near}/{path}"),
                    () if line.contains(&format!("]({path}")) => path.to_owned(),
                    () => continue,
                };
                if !known.contains(&full) {
                    faults.push(file.fault(index + 1, &format!("names `{full}`, which does not exist")));
                }
            }
        }
    }
    faults
}

/// What a line of a document sets in backticks or links to, when it has the shape of a path of ours.
fn named_paths(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let plain = |path: &&str| !path.is_empty() && !path.contains(['*', '<', '…', '{', '$', ':', '?', '=', '[', '#']);
    quoted.chain(linked).map(|path| path.trim_end_matches('/')).filter(plain).collect()
}

/// No path of the machine on which it was written.
fn private(files: &[File]) -> Vec<String> {
    let roots = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut faults = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            let root = roots.iter().find(|root| line.contains(*root));
            faults.extend(root.map(|root| file.fault(index + 1, &format!("names a private path under {root}"))));
        }
    }
    faults
}

/// Both databases have the same migrations.
fn migrations(files: &[File]) -> Vec<String> {
    let of = |database: &str| -> BTreeSet<&str> {
        files.iter().filter_map(|file| file.path.strip_prefix("migrations/")?.strip_prefix(database)?.strip_prefix('/')).collect()
    };
    let (sqlite, postgres) = (of("sqlite"), of("postgres"));
    let lacking = sqlite.symmetric_difference(&postgres);
    lacking.map(|name| format!("migrations: `{name}` exists for one database only")).collect()
}

/// Every golden file is compared with by a story.
fn golden(files: &[File]) -> Vec<String> {
    let stories: Vec<&File> = files.iter().filter(|file| file.path.starts_with("tests/it/")).collect();
    let unused = |file: &&File| {
        let name = file.path.strip_prefix("tests/golden/");
        name.is_some_and(|name| !stories.iter().any(|story| story.text.contains(&format!("\"{name}\""))))
    };
    files.iter().filter(unused).map(|file| file.fault(1, "no story compares with it")).collect()
}
