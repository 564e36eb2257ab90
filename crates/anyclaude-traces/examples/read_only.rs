//! Reads files and does nothing with them: what `traces` is measured against.
//!
//! ```text
//! read_only FOLDER [THREADS]
//! ```

use std::fs::File;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyclaude_traces::read::Store;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let folder = args.next().unwrap_or_else(|| ".".into());
    let threads = args.next().and_then(|threads| threads.to_str()?.parse().ok());
    let threads: usize = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let (sources, _) = Store::default().find([folder]);
    let next = AtomicUsize::new(0);
    let read = || -> std::io::Result<()> {
        let mut buffer = vec![0; 8 << 20];
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut file = File::open(source.path())?;
            while file.read(&mut buffer)? > 0 {}
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}
