//! Values over sockets instead of D-Bus calls, and the two traps in them.
//!
//! A value of no bytes and the end of the socket both read as nothing. And what `bluer` takes for the longest notification
//! is five bytes too short, so that at the MTU of 23 a band's 20 bytes would not fit: they do.

use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::os::fd::AsRawFd;

use bluer::gatt::{CharacteristicReader, CharacteristicWriter};
use futures::Stream;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

use crate::wire::gatt::Handle;

/// The longest attribute value (Core 5.4 vol 3 part F 3.2.9); a write request of that length can come whatever the MTU.
const MAX_VALUE_BYTES: usize = 512;
/// More messages than a socket of this kind holds: so many empty ones in a row can only be its end.
const MAX_EMPTY_VALUES: usize = 1024;
/// Notifications of one characteristic that wait for bluetoothd.
const MAX_NOTIFICATIONS_QUEUED: usize = 256;
/// Until a full socket is tried again. It happens when bluetoothd stands still.
const FULL: Duration = Duration::from_millis(2);

/// The values that come out of a socket, in order: what a phone writes or a band notifies. Ends with the socket.
#[derive(Debug)]
pub struct Values {
    reader: CharacteristicReader,
    empty: usize,
    next: Option<Vec<u8>>,
}

impl Values {
    /// Reads from this socket.
    #[must_use]
    pub const fn new(reader: CharacteristicReader) -> Self {
        Self { reader, empty: 0, next: None }
    }
}

impl Stream for Values {
    type Item = Vec<u8>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        loop {
            // A value that came after empty ones, once those are delivered.
            if self.next.is_some() {
                if self.empty > 0 {
                    self.empty -= 1;
                    return Poll::Ready(Some(Vec::new()));
                }
                return Poll::Ready(self.next.take());
            }
            let mut bytes = [0; MAX_VALUE_BYTES + 1];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.reader).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.empty += 1;
                    if self.empty > MAX_EMPTY_VALUES {
                        return Poll::Ready(None);
                    }
                }
                Poll::Ready(Ok(())) => self.next = Some(buffer.filled().to_vec()),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                // Nothing more, and not the end: the empty ones were writes.
                Poll::Pending if self.empty > 0 => {
                    self.empty -= 1;
                    return Poll::Ready(Some(Vec::new()));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Notifications to bluetoothd. Ends when it is dropped or when nobody is subscribed any more.
pub(super) struct Notifications {
    values: mpsc::Sender<Vec<u8>>,
    /// Which subscription of the characteristic this is.
    pub(super) number: u64,
}

impl Notifications {
    /// Sends what is handed in; tells `closed` when the subscription has ended from the other side.
    pub(super) fn start(
        writer: CharacteristicWriter,
        handle: Handle,
        number: u64,
        closed: mpsc::Sender<(Handle, u64)>,
    ) -> Self {
        let (values, queue) = mpsc::channel(MAX_NOTIFICATIONS_QUEUED);
        tokio::spawn(async move {
            if forward(&writer, queue).await {
                let _ = closed.send((handle, number)).await;
            }
        });
        Self { values, number }
    }

    /// Whether it could be taken.
    pub(super) fn notify(&self, value: Vec<u8>) -> bool {
        self.values.try_send(value).is_ok()
    }
}

/// Whether the other side has ended it.
async fn forward(writer: &CharacteristicWriter, mut queue: mpsc::Receiver<Vec<u8>>) -> bool {
    loop {
        tokio::select! {
            biased;
            _ = writer.closed() => return true,
            value = queue.recv() => match value {
                Some(value) => {
                    if !send_value(writer, &value).await {
                        return true;
                    }
                }
                None => return false,
            },
        }
    }
}

/// Sends one value; whether the socket has taken it, which ends with false when the socket does.
pub async fn send_value(writer: &CharacteristicWriter, value: &[u8]) -> bool {
    loop {
        match send(writer.as_raw_fd(), value, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => return true,
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => {
                tokio::select! {
                    _ = writer.closed() => return false,
                    () = sleep(FULL) => {}
                }
            }
            Err(_) => return false,
        }
    }
}
