//! Reads what is to be imported: folders, files, gzip or not, one document or one a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde::de::IgnoredAny;

use crate::check::guard::BUNDLE_BYTES_MAX;

/// Endings of the files that are taken from a folder, before a further `.gz`.
const ENDINGS: [&str; 3] = ["json", "ndjson", "jsonl"];

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One file to be read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Its size on disk.
    pub(super) bytes: u64,
}

/// One JSON document of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// The line it begins on, from 1.
    pub(super) line: usize,
    pub(super) text: Vec<u8>,
}

/// The files under these paths. What is named is read whatever it is called; in folders the name decides. Files that begin
/// with `Patient` come first, so that the others find their person.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        let meta = path.metadata().with_context(|| format!("{} cannot be read", path.display()))?;
        if meta.is_dir() {
            folder(path, &mut sources)?;
        } else {
            sources.push(Source { path: path.clone(), bytes: meta.len() });
        }
    }
    sources.sort_by_key(|source| !source.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("Patient")));
    Ok(sources)
}

fn folder(path: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let cannot = || format!("the folder {} cannot be read", path.display());
    let mut inner: Vec<PathBuf> = Vec::new();
    for entry in path.read_dir().with_context(cannot)? {
        inner.push(entry.with_context(cannot)?.path());
    }
    inner.sort();
    for path in inner {
        let meta = path.metadata().with_context(|| format!("{} cannot be read", path.display()))?;
        if meta.is_dir() {
            folder(&path, sources)?;
        } else if is_taken(&path) {
            sources.push(Source { path, bytes: meta.len() });
        }
    }
    Ok(())
}

fn is_taken(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Hands every document of the file to `take`, which says whether to go on. `passed` is told how many bytes on disk were read.
pub(super) fn read(source: &Source, passed: &mut dyn FnMut(u64), take: &mut dyn FnMut(Document) -> bool) -> io::Result<()> {
    let counted = Counted { inner: File::open(&source.path)?, passed };
    let mut raw = BufReader::with_capacity(1 << 16, counted);
    if raw.fill_buf()?.starts_with(&GZIP) {
        documents(&mut BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw)), take)
    } else {
        documents(&mut raw, take)
    }
}

/// One document a line when the first line that is not empty is a whole document and another follows; else all is one.
fn documents(reader: &mut dyn BufRead, take: &mut dyn FnMut(Document) -> bool) -> io::Result<()> {
    let mut number = 0;
    let Some(mut first) = next_line(reader, &mut number)? else { return Ok(()) };
    if first.text.starts_with(BOM) {
        first.text.drain(..BOM.len());
    }
    if serde_json::from_slice::<IgnoredAny>(&first.text).is_err() {
        let room = (BUNDLE_BYTES_MAX as u64 + 1).saturating_sub(first.text.len() as u64);
        first.text.push(b'\n');
        reader.take(room).read_to_end(&mut first.text)?;
        if serde_json::from_slice::<IgnoredAny>(&first.text).is_ok() || !looks_like_lines(&first.text) {
            take(first);
            return Ok(());
        }
        // A first line that is broken must not hide the good ones after it.
        return lines_of(&first, reader, take);
    }
    let mut next = Some(first);
    while let Some(document) = next {
        if !take(document) {
            return Ok(());
        }
        next = next_line(reader, &mut number)?;
    }
    Ok(())
}

/// Whether a text that is no document holds one on one of its next lines.
fn looks_like_lines(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.trim_ascii().is_empty());
    lines.next().is_some_and(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok_and(|_| line.trim_ascii().starts_with(b"{")))
}

fn lines_of(whole: &Document, reader: &mut dyn BufRead, take: &mut dyn FnMut(Document) -> bool) -> io::Result<()> {
    let mut number = whole.line - 1;
    let mut all = whole.text.as_slice().chain(reader);
    while let Some(document) = next_line(&mut all, &mut number)? {
        if !take(document) {
            break;
        }
    }
    Ok(())
}

/// The next line that is not empty, without its end. A line longer than any Bundle may be is cut, and will be refused.
fn next_line(reader: &mut dyn BufRead, number: &mut usize) -> io::Result<Option<Document>> {
    loop {
        let mut text = Vec::new();
        if reader.take(BUNDLE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        *number += 1;
        let end = text.trim_ascii_end().len();
        text.truncate(end);
        if !text.trim_ascii_start().is_empty() {
            return Ok(Some(Document { line: *number, text }));
        }
    }
}

/// Counts what is read from disk, for the progress bar.
struct Counted<'a> {
    inner: File,
    passed: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.passed)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(text: &[u8]) -> Vec<(usize, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, text).unwrap();
        let mut found = Vec::new();
        let mut take = |document: Document| {
            found.push((document.line, String::from_utf8(document.text).unwrap()));
            true
        };
        read(&Source { path, bytes: 0 }, &mut |_| {}, &mut take).unwrap();
        found
    }

    #[test]
    fn lines_and_whole_documents_are_told_apart() {
        let two = [(1, "{\"a\":1}".to_owned()), (3, "{\"b\":2}".to_owned())];
        assert_eq!(lines(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n{\"b\":2}\r\n"), two);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"{\"a\":1}\n\n{\"b\":2}").unwrap();
        assert_eq!(lines(&packed.finish().unwrap()), two);
        assert_eq!(lines(b"\n{\n \"a\":\n1}\n"), [(2, "{\n \"a\":\n1}\n".to_owned())]);
        assert_eq!(lines(b"{\"a\":1}"), [(1, "{\"a\":1}".to_owned())]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_broken_line_does_not_hide_its_neighbours() {
        assert_eq!(lines(b"{\"a\":1}\n{broken\n{\"b\":2}\n").len(), 3);
        assert_eq!(lines(b"{broken\n{\"a\":1}\n{\"b\":2}\n").len(), 3);
        assert_eq!(lines(b"{\n \"broken\": \n").len(), 1);
    }

    #[test]
    fn a_folder_is_read_by_its_endings_patients_first() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        for name in ["Condition.ndjson.gz", "README.md", "inner/Patient.ndjson", "b.JSON"] {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        let names: Vec<String> = gather(&[folder.path().to_owned()])
            .unwrap()
            .iter()
            .map(|source| source.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["Patient.ndjson", "Condition.ndjson.gz", "b.JSON"]);
        assert!(gather(&[folder.path().join("none")]).is_err());
    }
}
