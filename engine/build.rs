//! Names what the core is built from: the digest of its sources, for the states of runs that it saves.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

#[expect(clippy::disallowed_methods, reason = "this is no part of the core: it reads the core's sources")]
fn main() -> io::Result<()> {
    let sources = Path::new("src");
    println!("cargo::rerun-if-changed=src");
    let mut files = Vec::new();
    collect(sources, &mut files)?;
    files.sort();
    // FNV-1a: it must differ from build to build, not withstand an attacker.
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let name = file.to_string_lossy().into_owned().into_bytes();
        for byte in name.into_iter().chain([0]).chain(fs::read(&file)?) {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=RUNBOOK_ENGINE_SOURCES={sum:016x}");
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
