//! The data folder: whether it can be one, and whether it takes what is to be kept in it.
//!
//! The first is looked at with every load. The second is tried where somebody waits for the word, `check` and a start,
//! and makes no configuration faulty: a gateway serves without a disk. The folder itself is made by whoever first has
//! something to keep.

use std::fs::{self, File};
use std::io;
use std::path::{Path as FilePath, PathBuf};

use super::Loaded;
use super::fault::Finding;
use super::tree::Path;

impl Loaded {
    /// Tries whether the data folder can be written, and warns where it cannot. Nothing is left behind: neither a file
    /// nor the folder.
    #[must_use]
    pub fn with_data_folder_tried(mut self) -> Self {
        if let Err(error) = try_to_write(&self.config.data) {
            let what = format!(
                "the data folder {} cannot be written ({error}): jobs, batches and stored keys need it",
                self.config.data.display()
            );
            let mend = "let this process' user write it, or name another with `data`";
            let finding = Finding::new(what, mend).at(&Path::of(&["data"]), &self.tree);
            self.warnings.push(finding.told(self.source.as_ref()));
        }
        self
    }
}

/// What stands in the folder's way: itself, or one that it is to lie in, where that is there and is no folder.
pub(super) fn no_folder(path: &FilePath) -> Option<PathBuf> {
    let (there, is_folder) = nearest(path)?;
    (!is_folder).then(|| there.to_owned())
}

/// The nearest that is there of the path and what it lies in, and whether that is a folder.
fn nearest(path: &FilePath) -> Option<(&FilePath, bool)> {
    path.ancestors().find_map(|above| {
        // What a relative path begins with.
        let above = if above.as_os_str().is_empty() { FilePath::new(".") } else { above };
        Some((above, above.metadata().ok()?.is_dir()))
    })
}

/// Makes a file in the folder and removes it; where the folder is yet to be made, another in its place.
fn try_to_write(data: &FilePath) -> io::Result<()> {
    let Some((there, true)) = nearest(data) else { return Ok(()) };
    let trial = there.join(format!(".tidegate-trial.{}", std::process::id()));
    if there == data {
        File::create_new(&trial)?;
        fs::remove_file(&trial)
    } else {
        fs::create_dir(&trial)?;
        fs::remove_dir(&trial)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::config::{Config, Sources};

    fn load(data: &FilePath) -> Result<Loaded, String> {
        let variables = [("TIDEGATE__DATA", data.to_str().unwrap())];
        let sources = Sources { environment: variables.into_iter().collect(), ..Sources::default() };
        Config::load(&sources).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_file_is_no_data_folder_nor_is_there_one_beneath_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("afile");
        fs::write(&file, "").unwrap();
        for data in [file.clone(), file.join("below"), file.join("below/it")] {
            let told = load(&data).err().unwrap();
            assert!(told.contains("is no folder") && told.contains("TIDEGATE__DATA"), "{told}");
        }
        for data in [folder.path().to_owned(), folder.path().join("yet/to/be")] {
            assert!(load(&data).is_ok(), "{}", data.display());
        }
        let toml = folder.path().join("tidegate.toml");
        fs::write(&toml, "data = 'afile'\n").unwrap();
        let told = Config::load(&Sources { path: Some(toml), ..Sources::default() }).err().unwrap();
        let told = told.iter().map(ToString::to_string).collect::<String>();
        assert!(told.contains("tidegate.toml:1:8: ") && told.contains("afile` is no folder"), "{told}");
    }

    #[test]
    fn a_trial_of_writing_warns_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        for data in [folder.path().to_owned(), folder.path().join("yet/to/be")] {
            let loaded = load(&data).unwrap().with_data_folder_tried();
            assert_eq!(loaded.warnings, [], "{}", data.display());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
        // Where nobody makes a file, whoever it is.
        for data in ["/proc", "/proc/tidegate/data"] {
            let warnings = load(FilePath::new(data)).unwrap().with_data_folder_tried().warnings;
            let [warning] = &warnings[..] else { panic!("{warnings:?}") };
            assert_eq!(warning.key, "data");
            assert!(warning.what.contains(&format!("{data} cannot be written")), "{warning}");
            assert!(warning.mend.contains("`data`"), "{warning}");
        }
    }
}
