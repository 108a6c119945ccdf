//! What a playbook is, by content.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// How deep folders may lie in each other: links can make circles.
const DEEPEST: usize = 16;

/// The SHA-256 of a playbook, in hexadecimal: of its text, as `sha256sum` says it; where a folder `roles` lies beside it,
/// of what `sha256sum` says of it and of every file there, by name.
pub(super) fn of(playbook: &Path) -> io::Result<String> {
    let own = sha256(playbook)?;
    let roles = playbook.with_file_name("roles");
    let mut files = Vec::new();
    if roles.is_dir() {
        list(&roles, DEEPEST, &mut files)?;
    }
    if files.is_empty() {
        return Ok(own);
    }
    files.sort();
    let beside = roles.parent().unwrap_or(Path::new(""));
    let mut whole = Sha256::new();
    whole.update(format!("{own}\n"));
    for file in files {
        let name = file.strip_prefix(beside).unwrap_or(&file).display().to_string();
        whole.update(format!("{}  {name}\n", sha256(&file)?));
    }
    Ok(hex(&whole.finalize()))
}

/// Hidden files and what Python makes for itself are no part of a role.
fn list(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        let path = entry.path();
        let kind = fs::metadata(&path);
        if kind.as_ref().is_ok_and(fs::Metadata::is_dir) {
            let deeper = deeper.checked_sub(1).ok_or_else(|| io::Error::other("its roles lie too deep"))?;
            list(&path, deeper, files)?;
        } else if kind.is_ok_and(|kind| kind.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&part[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::of;

    #[test]
    fn a_playbook_is_its_text_and_its_roles() {
        let place = tempfile::tempdir().expect("a folder");
        let playbook = place.path().join("site.yml");
        assert!(of(&playbook).is_err());
        fs::write(&playbook, "abc").expect("a file");
        let alone = of(&playbook).expect("it is read");
        assert_eq!(alone, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let tasks = place.path().join("roles/web/tasks");
        fs::create_dir_all(&tasks).expect("a folder");
        fs::write(tasks.join("main.yml"), "one").expect("a file");
        let one = of(&playbook).expect("it is read");
        fs::write(tasks.join("main.yml"), "two").expect("a file");
        let two = of(&playbook).expect("it is read");
        fs::write(tasks.join(".main.yml.swp"), "x").expect("a file");
        assert!(alone != one && one != two);
        assert_eq!(of(&playbook).expect("it is read"), two);
        fs::rename(tasks.join("main.yml"), tasks.join("other.yml")).expect("it is renamed");
        assert_ne!(of(&playbook).expect("it is read"), two);
    }
}
