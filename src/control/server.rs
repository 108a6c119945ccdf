//! The holder's end of the socket.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, mpsc::UnboundedSender, oneshot},
    task::AbortHandle,
};

use super::{
    asked::{Answered, Ask, Asked, MOST_ENTRIES},
    peer::Peer,
    place::Place,
    protocol::{LONGEST_PLAN, LONGEST_REQUEST, Line, Request},
};
use crate::coordinator::{
    live::Progress,
    message::Message,
    observer::Heard,
    refused::{Refused, RefusedLine},
};

/// Connections of one user at a time: enough for every tool a person can have open, too few to exhaust the holder.
const CONNECTIONS_PER_USER: usize = 32;

/// The pause after a connection could not be taken: the one that waits is tried again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The holder's end of the socket. It is gone when this is dropped.
pub(crate) struct Server {
    place: Place,
    accepting: AbortHandle,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// Listens for clients of this state folder, whose lock the caller holds. Needs a runtime.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(state: &Path, owner: u32, queue: UnboundedSender<Message>) -> io::Result<Self> {
        let place = Place::of(state);
        place.prepare()?;
        let listener = UnixListener::bind(place.socket())?;
        place.open_to_all()?;
        let open = Arc::new(AtomicUsize::new(0));
        let clients = Clients { owner, queue, open: Arc::clone(&open), by_user: Arc::default() };
        let accepting = tokio::spawn(clients.accept(listener)).abort_handle();
        Ok(Self { place, accepting, open })
    }

    /// How many clients are still reading.
    pub fn open(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.place.clear();
    }
}

struct Clients {
    owner: u32,
    queue: UnboundedSender<Message>,
    open: Arc<AtomicUsize>,
    by_user: Arc<Mutex<BTreeMap<u32, usize>>>,
}

impl Clients {
    async fn accept(self, listener: UnixListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: others have to end first.
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let Ok(peer) = Peer::of(&stream) else { continue };
            let Some(place) = Seat::take(peer.uid, &self.by_user, &self.open) else { continue };
            let longest =
                if peer.uid == self.owner || peer.uid == 0 { LONGEST_PLAN } else { LONGEST_REQUEST };
            let queue = self.queue.clone();
            tokio::spawn(async move {
                // A client that is gone is no loss.
                let _ = Client::new(stream, peer, queue, longest).serve().await;
                drop(place);
            });
        }
    }
}

/// A client's place among those of its user.
struct Seat {
    uid: u32,
    by_user: Arc<Mutex<BTreeMap<u32, usize>>>,
    open: Arc<AtomicUsize>,
}

impl Seat {
    fn take(uid: u32, by_user: &Arc<Mutex<BTreeMap<u32, usize>>>, open: &Arc<AtomicUsize>) -> Option<Self> {
        let mut taken = by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(uid).or_default();
        if *count >= CONNECTIONS_PER_USER {
            return None;
        }
        *count += 1;
        open.fetch_add(1, Ordering::Relaxed);
        Some(Self { uid, by_user: Arc::clone(by_user), open: Arc::clone(open) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.uid) {
            *count -= 1;
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Client {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
    peer: Peer,
    queue: UnboundedSender<Message>,
    longest: u64,
}

impl Client {
    fn new(stream: UnixStream, peer: Peer, queue: UnboundedSender<Message>, longest: u64) -> Self {
        let (lines, out) = stream.into_split();
        Self { lines: BufReader::new(lines), out, peer, queue, longest }
    }

    async fn serve(mut self) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            (&mut self.lines).take(self.longest).read_until(b'\n', &mut line).await?;
            if line.is_empty() {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                return self.refuse(&bad_request("it is too long, or cut short")).await;
            }
            let request = match Request::read(&line) {
                Ok(request) => request,
                Err(why) => return self.refuse(&bad_request(&why)).await,
            };
            match request.ask {
                Ask::Journal { run, from, plan } => {
                    self.journal(run, from, plan, request.follow, request.hear).await?;
                }
                ask => match self.ask(ask).await {
                    Ok(answered) => self.answer(answered).await?,
                    Err(refused) => self.refuse(&refused).await?,
                },
            }
        }
    }

    /// Asks the coordinator.
    async fn ask(&self, ask: Ask) -> Result<Answered, Refused> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { peer: self.peer.clone(), ask, answer };
        self.queue.send(Message::Asked(asked)).map_err(|_| Refused::Stopping)?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }

    async fn answer(&mut self, answered: Answered) -> io::Result<()> {
        match answered {
            Answered::Runs(rows) => {
                for row in rows {
                    self.send(&Line::Run { row: Box::new(row) }).await?;
                }
            }
            Answered::Books(books) => self.send(&Line::Books { books }).await?,
            Answered::Told(told) => self.send(&Line::Told { told }).await?,
            Answered::Advancing(run) => self.send(&Line::Advancing { run }).await?,
            // Only asked for in `journal`.
            Answered::Journal { .. } => {}
        }
        self.send(&Line::End).await
    }

    async fn journal(
        &mut self,
        run: Option<String>,
        from: u64,
        plan: bool,
        follow: bool,
        hear: bool,
    ) -> io::Result<()> {
        let mut next = from.max(1);
        let mut hearing: Option<broadcast::Receiver<Heard>> = None;
        let mut first = true;
        let mut run = run;
        loop {
            let ask = Ask::Journal { run: run.clone(), from: next, plan: plan && first };
            let (row, plan, entries, progress) = match self.ask(ask).await {
                Ok(Answered::Journal { row, plan, entries, progress, heard }) => {
                    hearing = hearing.or(heard.filter(|_| hear));
                    (row, plan, entries, progress)
                }
                Ok(_) => return Ok(()),
                Err(refused) => return self.refuse(&refused).await,
            };
            run = Some(row.run.to_string());
            if first {
                self.send(&Line::Run { row }).await?;
            }
            if let Some(plan) = plan {
                self.send(&Line::Plan { plan }).await?;
            }
            let more = entries.len() == MOST_ENTRIES;
            for entry in entries {
                next = entry.seq + 1;
                self.send(&Line::Entry { entry: Box::new(entry) }).await?;
            }
            first = false;
            if more {
                continue;
            }
            let Some(mut progress) = progress.filter(|_| follow) else { return self.send(&Line::End).await };
            let known = loop {
                let further = async {
                    let is_further = |known: &Progress| known.seq >= next || known.report.is_some();
                    progress.wait_for(is_further).await.map(|known| known.clone())
                };
                tokio::select! {
                    biased;
                    known = further => break known,
                    heard = line_of(&mut hearing) => self.send(&Line::Heard { heard }).await?,
                }
            };
            // The coordinator is gone: so is the rest.
            let Ok(known) = known else { return Ok(()) };
            if let Some(report) = known.report.filter(|_| known.seq < next) {
                self.send(&Line::Report { report }).await?;
                return self.send(&Line::End).await;
            }
        }
    }

    async fn refuse(&mut self, refused: &Refused) -> io::Result<()> {
        self.send(&Line::Refused { refused: RefusedLine::from(refused) }).await
    }

    async fn send(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.out.write_all(&bytes).await
    }
}

/// The next line of a machine; never one where nobody hears.
async fn line_of(hearing: &mut Option<broadcast::Receiver<Heard>>) -> Heard {
    while let Some(lines) = hearing {
        match lines.recv().await {
            Ok(heard) => return heard,
            // Some are lost.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => *hearing = None,
        }
    }
    std::future::pending().await
}

fn bad_request(why: &str) -> Refused {
    Refused::NotNow { why: format!("the request is refused: {why}"), hint: None }
}
