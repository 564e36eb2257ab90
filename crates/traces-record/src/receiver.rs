//! The receiver of OTLP over HTTP: on loopback only, and never in a client's way. Each
//! connection has a thread, one more writes.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyclaude_traces::Timestamp;

use crate::error::Error;
use crate::folder::Folder;
use crate::http::{ClientConnection, Post};
use crate::limits::{Budget, Limits};
use crate::otlp::Arrived;
use crate::receipt::Posted;
use crate::refusal::Refusal;
use crate::store::{LineStore, QueuedBody};

/// As many posts as a receipt lists.
const MAX_LISTED: usize = 100_000;
/// What a body takes at least, besides its bytes: bounds their number as well.
const BODY_OVERHEAD: usize = 1 << 10;
/// A client's answer must not wait for somebody who does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often [`Receiver::settle`] looks.
const TICK: Duration = Duration::from_millis(10);
/// What a connection that was made before the client ended needs to be accepted.
const ACCEPTING: Duration = Duration::from_millis(50);

/// Receives what a client reports, and writes it into a recording's folder.
///
/// It answers before it writes: Claude Code drops what is not answered soon.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<ReceiverState>,
    acceptor: JoinHandle<()>,
    writer: JoinHandle<()>,
    /// A file that is open for nothing, so that one can be opened at the end.
    spare: TcpListener,
}

/// What was received.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Received {
    /// Events and spans.
    pub arrived: Arrived,
    /// What was posted, in the order of arrival: at most 100,000.
    pub posts: Vec<Posted>,
    /// Further posts.
    pub posts_not_listed: u64,
    /// What was refused, and how often.
    pub refused: BTreeMap<Refusal, u64>,
    /// Posts that could not be written.
    pub lost: u64,
    /// Why the first of these could not be.
    pub lost_because: Option<String>,
}

#[derive(Debug)]
struct ReceiverState {
    limits: Limits,
    port: u16,
    budget: Arc<Budget>,
    stops: AtomicBool,
    /// Connections that are open.
    open: AtomicUsize,
    /// What was handed to the writer so far.
    bodies: AtomicU64,
    bytes: AtomicU64,
    received: Mutex<Received>,
    /// The end of the connection that wakes the acceptor: no client's.
    waker: Mutex<Option<SocketAddr>>,
}

impl ReceiverState {
    fn waker(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        // Nothing panics while it holds this, and counts are right after each change.
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    /// Notes a post; whether it is to be written.
    fn note(&self, post: &Post, arrived: Arrived) -> Result<(), Refusal> {
        let bytes = post.body.len() as u64;
        if post.signal.file_name().is_some() {
            let is_full = self.bodies.load(Ordering::SeqCst) >= self.limits.bodies
                || self.bytes.load(Ordering::SeqCst) + bytes > self.limits.written_bytes;
            if is_full {
                return Err(Refusal::Full);
            }
            self.bodies.fetch_add(1, Ordering::SeqCst);
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
        }
        let mut received = self.received();
        received.arrived.add(arrived);
        if received.posts.len() < MAX_LISTED {
            received.posts.push(Posted { at: now(), signal: post.signal, bytes });
        } else {
            received.posts_not_listed += 1;
        }
        Ok(())
    }

    fn refused(&self, refusal: Refusal) {
        *self.received().refused.entry(refusal).or_default() += 1;
    }
}

impl Receiver {
    /// Starts to receive on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// There is no port, or no thread.
    pub fn start(folder: &Folder, limits: Limits) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Bind)?;
        let address = listener.local_addr().map_err(Error::Bind)?;
        let spare = listener.try_clone().map_err(Error::Bind)?;
        let shared = Arc::new(ReceiverState {
            budget: Budget::new(limits.memory_bytes),
            limits,
            port: address.port(),
            stops: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            bodies: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            received: Mutex::default(),
            waker: Mutex::default(),
        });
        let (lines, to_write) = mpsc::channel::<QueuedBody>();
        let mut store = LineStore::new(folder.path().to_owned());
        let writing = Arc::clone(&shared);
        let writer = spawn("traces-record-writer", move || {
            for line in to_write {
                if let Err(error) = store.write(line) {
                    let mut received = writing.received();
                    received.lost += 1;
                    received.lost_because.get_or_insert_with(|| error.to_string());
                }
            }
        })?;
        let accepting = Arc::clone(&shared);
        let acceptor = spawn("traces-record", move || accept(&listener, &accepting, &lines))?;
        Ok(Self { address, shared, acceptor, writer, spare })
    }

    /// Where it receives: always on 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How much has arrived so far.
    #[must_use]
    pub fn arrived(&self) -> Arrived {
        self.shared.received().arrived.clone()
    }

    /// Waits until a client that has ended is heard out: its connections are closed and
    /// its last turn is reported, or the time is over, or `stops` says so.
    pub fn settle(&self, most: Duration, stops: impl Fn() -> bool) {
        let began = Instant::now();
        while began.elapsed() < most && !stops() {
            let is_quiet = self.shared.open.load(Ordering::SeqCst) == 0 && began.elapsed() >= ACCEPTING;
            if is_quiet && self.shared.received().arrived.interaction_spans > 0 {
                return;
            }
            thread::sleep(TICK);
        }
    }

    /// Ends: what was accepted is read to its end and written. Returns what was received.
    #[must_use]
    pub fn finish(self) -> Received {
        self.shared.stops.store(true, Ordering::SeqCst);
        // Where no file can be opened more, the acceptor could not be woken.
        drop(self.spare);
        // Wakes the acceptor, which takes connections in the order in which they were made:
        // those before this one are heard. Where it fails, the acceptor has ended.
        let wakes = {
            // Locked before it connects, so that the acceptor knows whose it is.
            let mut waker = self.shared.waker();
            let wakes = TcpStream::connect(self.address);
            *waker = wakes.as_ref().ok().and_then(|wakes| wakes.local_addr().ok());
            wakes
        };
        // Threads do not panic; where one did, there is no more to be had of it.
        let _ = self.acceptor.join();
        drop(wakes);
        let until = Instant::now() + self.shared.limits.request_time;
        while self.shared.open.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(TICK);
        }
        let _ = self.writer.join();
        std::mem::take(&mut *self.shared.received())
    }
}

/// Accepts connections until the receiver stops, and then those that were made before.
fn accept(listener: &TcpListener, shared: &Arc<ReceiverState>, lines: &Sender<QueuedBody>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => open(stream, shared, lines),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Too many open files, for one: it may pass, as connections end.
            Err(_) if shared.stops() && shared.open.load(Ordering::SeqCst) == 0 => return,
            Err(_) => thread::sleep(TICK),
        }
        if shared.stops() && listener.set_nonblocking(true).is_err() {
            return;
        }
    }
}

/// Gives a connection its thread.
fn open(stream: TcpStream, shared: &Arc<ReceiverState>, lines: &Sender<QueuedBody>) {
    let opened = OpenConnection::new(shared);
    if shared.open.load(Ordering::SeqCst) > shared.limits.connections {
        let is_waker = shared.stops() && stream.peer_addr().is_ok_and(|peer| *shared.waker() == Some(peer));
        if !is_waker {
            shared.refused(Refusal::Busy);
        }
        return;
    }
    let lines = lines.clone();
    // Without a thread the connection is closed, and the client tries again.
    if spawn("traces-record-connection", move || serve(stream, &opened.0, &lines)).is_err() {
        shared.refused(Refusal::Busy);
    }
}

/// An open connection; counted until it is dropped.
struct OpenConnection(Arc<ReceiverState>);

impl OpenConnection {
    fn new(shared: &Arc<ReceiverState>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, shared: &ReceiverState, lines: &Sender<QueuedBody>) {
    // Elsewhere than on Linux a connection inherits this from its listener.
    let prepared = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)))
        .and_then(|()| stream.set_nodelay(true));
    if prepared.is_err() {
        return;
    }
    let mut connection = ClientConnection::new(stream, shared.port, &shared.limits);
    while connection.waits(|| shared.stops()) {
        let mut share = shared.budget.share();
        let post = share.grow(BODY_OVERHEAD).and_then(|()| connection.post(share)).and_then(|post| {
            let arrived = Arrived::of(post.signal, &post.body).map_err(|_| Refusal::Malformed)?;
            shared.note(&post, arrived)?;
            Ok(post)
        });
        match post {
            Ok(post) => {
                // The client may be gone; what it sent counts all the same.
                let answered = connection.accept();
                let keeps_alive = post.keeps_alive && answered.is_ok();
                // The writer ends after all connections.
                let _ = lines.send(QueuedBody { signal: post.signal, body: post.body, share: post.share });
                if !keeps_alive {
                    return;
                }
            }
            Err(refusal) => {
                shared.refused(refusal);
                return connection.refuse(refusal);
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::Bind)
}

/// The time, to the millisecond.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::UNIX_EPOCH.plus_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
