//! The artifact ledger among the records.

use std::collections::BTreeSet;

use runbook_engine::ids::RunId;

use super::Journal;
use crate::{
    artifact::{ArtifactRow, ArtifactState},
    disk::{Disk, Record},
    error::StoreError,
    format::{self, StoredArtifact},
};

impl<D: Disk> Journal<D> {
    /// The records of these rows.
    pub(super) fn artifact_records(&self, rows: &[ArtifactRow]) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for row in rows {
            if row.id.is_some() {
                records.push((format::artifact_key(&row.run, &row.token, None), None));
            }
            let key = format::artifact_key(&row.run, &row.token, row.id.as_deref());
            records.push((key, Some(self.json(&StoredArtifact::new(row))?)));
        }
        Ok(records)
    }

    /// The rows of one run, or of all.
    pub(super) fn artifact_rows(&self, run: Option<&RunId>) -> Result<Vec<ArtifactRow>, StoreError> {
        let prefix = run.map_or_else(|| format::ARTIFACTS.to_vec(), format::artifacts_of);
        let stored: Vec<StoredArtifact> = self.list(&prefix, "artifact")?;
        let mut rows: Vec<ArtifactRow> = stored.into_iter().map(StoredArtifact::into_row).collect();
        // An intent can be journaled again after its call was answered: then what it made is known already.
        let known: BTreeSet<_> = rows
            .iter()
            .filter(|row| row.id.is_some())
            .map(|row| (row.run.clone(), row.token.clone()))
            .collect();
        rows.retain(|row| {
            row.state != ArtifactState::Intended || !known.contains(&(row.run.clone(), row.token.clone()))
        });
        Ok(rows)
    }
}
