//! What a server of AWS's protocols asks of the world beside its calls.

use super::{Account, Call, World, fleet::Platform, place::Place};
use crate::ports::fault::Fault;

impl World {
    /// The account that whoever names none is in: that of machines whose group names none.
    pub fn first_account(&self) -> String {
        self.lock().state.roster.first_account().to_owned()
    }

    /// The Region that whoever names none is in: the first that the fleet file names.
    pub fn first_region(&self) -> String {
        let inner = self.lock();
        let named = inner.state.roster.file.groups.iter().find_map(|group| group.region.clone());
        named.unwrap_or_else(|| Place::default().region().to_owned())
    }

    /// The name of a machine, and its platform in Systems Manager's words: `Linux`, `Windows`.
    pub fn about_machine(&self, id: &str) -> Option<(String, String)> {
        let inner = self.lock();
        let place = inner.state.roster.find(id)?;
        let platform = match inner.state.roster.group(place).platform {
            Platform::Linux => "Linux",
            Platform::Windows => "Windows",
        };
        Some((inner.state.roster.machines[place].name.clone(), platform.to_owned()))
    }

    /// How many calls wrote, or were to.
    pub fn count_calls(&self) -> usize {
        self.lock().calls.calls.len()
    }

    /// The calls that wrote, or were to, without the first `skipped`.
    pub fn calls_from(&self, skipped: usize) -> Vec<Call> {
        self.lock().calls.calls.get(skipped..).unwrap_or_default().to_vec()
    }
}

impl Account {
    /// A call that reads nothing of the world any more (a later page): only what can go wrong with a call can go wrong
    /// with it.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn call(&self, call: &'static str) -> Result<(), Fault> {
        self.world.read(self.label(), call, &[], |_, _| Ok(())).await
    }
}
