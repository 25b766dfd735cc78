//! Reports as files. Every path is opened before the first case runs: a bad one is known at once, not after the run.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::block::{Block, Page, clean};
use super::event::{Event, Kind};
use super::summary::{CaseResult, Summary};
use super::taps::Taps;
use super::{jsonl, junit, words};

/// The folder under `--out` that holds one trace per case that did not pass.
const TRACES: &str = "failed";
/// The capture of all taps under `--out`.
pub const TAPS: &str = "taps.pcapng";

/// Where reports go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `--out DIR`: all of them.
    pub out: Option<PathBuf>,
    /// `--junit FILE`.
    pub junit: Option<PathBuf>,
    /// `--events FILE`.
    pub events: Option<PathBuf>,
    /// `--trace`: what went through the field as a capture, too, into `out`.
    pub taps: bool,
}

/// Why a report could not be written; finishes "failed to …".
#[derive(Debug)]
pub struct WriteError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The open files of a run.
#[derive(Debug)]
pub struct Files {
    events: Vec<Open>,
    junit: Vec<Open>,
    summary: Option<Open>,
    traces: Option<PathBuf>,
    taps: Option<(PathBuf, Taps<BufWriter<File>>)>,
    page: Page,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Files {
    /// Creates folders and files. Traces of an earlier run in the same folder are removed: they would pass for this run's.
    ///
    /// # Errors
    /// When a folder or a file cannot be created.
    pub fn create(paths: &Paths, root: &str) -> Result<Self, WriteError> {
        let mut files = Self {
            events: Vec::new(),
            junit: Vec::new(),
            summary: None,
            traces: None,
            taps: None,
            page: Page::plain(root),
        };
        if let Some(out) = &paths.out {
            create_folder(out)?;
            files.events.push(Open::create(&out.join("events.jsonl"))?);
            files.junit.push(Open::create(&out.join("junit.xml"))?);
            files.summary = Some(Open::create(&out.join("summary.txt"))?);
            let traces = out.join(TRACES);
            remove_traces(&traces)?;
            files.traces = Some(traces);
            if paths.taps {
                let Open { path, file } = Open::create(&out.join(TAPS))?;
                let taps = Taps::new(file).map_err(at("write to", &path))?;
                files.taps = Some((path, taps));
            }
        }
        for (path, list) in [(&paths.events, &mut files.events), (&paths.junit, &mut files.junit)] {
            if let Some(path) = path {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    create_folder(folder)?;
                }
                list.push(Open::create(path)?);
            }
        }
        Ok(files)
    }

    /// Writes the events of the next case in file order.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn events(&mut self, events: &[Event]) -> Result<(), WriteError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let bytes = jsonl::encode(events);
        // At once: somebody may follow the run by this file.
        self.events
            .iter_mut()
            .try_for_each(|open| open.write(|file| file.write_all(&bytes).and_then(|()| file.flush())))
    }

    /// Writes what went through the field in the next case in file order, which ended `ended` after the Unix epoch; `None` where
    /// time is virtual.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn taps(&mut self, events: &[Event], ended: Option<Duration>) -> Result<(), WriteError> {
        let Some((path, taps)) = &mut self.taps else { return Ok(()) };
        taps.case(events, ended).map_err(at("write to", path))
    }

    /// Writes the trace of a case that did not pass.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn trace(&mut self, case: &CaseResult, events: &[Event]) -> Result<(), WriteError> {
        let Some(folder) = &self.traces else { return Ok(()) };
        create_folder(folder)?;
        let mut open = Open::create(&folder.join(trace_name(case)))?;
        open.write(|file| write!(file, "{}\n{}", Block::new(case, &self.page), Trace(events)))?;
        open.close()
    }

    /// Writes what is made from the whole run, and closes everything. `text` is the summary as a person reads it, without colours.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn close(mut self, summary: &Summary, text: impl fmt::Display) -> Result<(), WriteError> {
        for mut open in self.junit {
            open.write(|file| junit::write(file, summary, &self.page.root))?;
            open.close()?;
        }
        if let Some(mut open) = self.summary.take() {
            open.write(|file| write!(file, "{text}"))?;
            open.close()?;
        }
        if let Some((path, taps)) = self.taps {
            taps.finish().map_err(at("write to", &path))?;
        }
        self.events.into_iter().try_for_each(Open::close)
    }
}

impl Open {
    fn create(path: &Path) -> Result<Self, WriteError> {
        let file = File::create(path).map_err(at("create the file", path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
        write(&mut self.file).map_err(at("write to", &self.path))
    }

    fn close(mut self) -> Result<(), WriteError> {
        self.file.flush().map_err(at("write to", &self.path))
    }
}

/// Everything that happened, line by line.
struct Trace<'a>(&'a [Event]);

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  all that happened")?;
        for event in self.0 {
            if let Some(line) = words::line(event) {
                writeln!(f, "    {}", clean(&line))?;
            }
            if let Kind::Apdu { command, response, .. } = &event.kind {
                writeln!(f, "{:31}> {}", "", clean(command))?;
                if !response.is_empty() {
                    writeln!(f, "{:31}< {}", "", clean(response))?;
                }
            }
        }
        Ok(())
    }
}

/// `0003-reset-power-sweep.txt`: sorts like the run and is a legal name everywhere.
fn trace_name(case: &CaseResult) -> String {
    let id = case.id.replace(".yaml", "").replace('/', "-");
    let id: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.=,".contains(c) { c } else { '_' }).collect();
    let id: String = id.chars().take(100).collect();
    format!("{:04}-{}.txt", case.case, id.trim_end_matches('_'))
}

/// Removes what [`trace_name`] named, and nothing else.
fn remove_traces(folder: &Path) -> Result<(), WriteError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at("read the folder", folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(at("read the folder", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let numbered =
            name.split_once('-').is_some_and(|(number, _)| number.len() >= 4 && number.parse::<u32>().is_ok());
        if numbered && name.ends_with(".txt") {
            fs::remove_file(&path).map_err(at("remove the old trace", &path))?;
        }
    }
    Ok(())
}

fn create_folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(at("create the folder", path))
}

fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    move |source| WriteError { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::event::Verdict;
    use crate::report::sample;

    fn write_all(paths: &Paths) -> Result<(), WriteError> {
        let mut files = Files::create(paths, "scenarios")?;
        for events in sample::cases() {
            files.events(&events)?;
            let case = CaseResult::from_events(events[0].case, &events);
            if case.verdict == Verdict::Failed {
                files.trace(&case, &events)?;
            }
        }
        files.close(&sample::summary(), "the summary\n")
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn out_writes_events_junit_summary_and_a_trace_per_failed_case() {
        let temp = tempfile::tempdir().unwrap();
        let out = temp.path().join("a/b");
        write_all(&Paths { out: Some(out.clone()), ..Paths::default() }).unwrap();
        assert_eq!(read(out.join("events.jsonl")), sample::JSONL);
        assert_eq!(read(out.join("summary.txt")), "the summary\n");
        assert!(read(out.join("junit.xml")).contains("<testsuite name=\"activation\""));
        let mut traces: Vec<_> =
            fs::read_dir(out.join(TRACES)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        traces.sort();
        assert_eq!(traces, ["0001-activation-code-expiry_card=mastercard-debit.txt", "0003-reset-power-sweep.txt"]);
        insta::assert_snapshot!(read(out.join(TRACES).join(&traces[0])));
    }

    #[test]
    fn single_files_go_where_they_were_sent_and_folders_are_made() {
        let temp = tempfile::tempdir().unwrap();
        let (junit, events) = (temp.path().join("x/junit.xml"), temp.path().join("y/e.jsonl"));
        write_all(&Paths { junit: Some(junit.clone()), events: Some(events.clone()), ..Paths::default() }).unwrap();
        assert_eq!(read(events), sample::JSONL);
        assert!(read(junit).starts_with("<?xml"));
    }

    #[test]
    fn traces_of_an_earlier_run_do_not_pass_for_this_ones() {
        let temp = tempfile::tempdir().unwrap();
        let traces = temp.path().join(TRACES);
        fs::create_dir(&traces).unwrap();
        for name in ["0099-old.txt", "notes.txt"] {
            fs::write(traces.join(name), "").unwrap();
        }
        write_all(&Paths { out: Some(temp.path().to_owned()), ..Paths::default() }).unwrap();
        assert!(!traces.join("0099-old.txt").exists());
        assert!(traces.join("notes.txt").exists(), "not ours to remove");
    }

    #[test]
    fn a_folder_in_the_way_is_said_with_its_path() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("file"), "").unwrap();
        let error = write_all(&Paths { out: Some(temp.path().join("file/out")), ..Paths::default() }).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("create the folder `") && text.contains("file/out`: "), "{text}");
    }
}
