//! Writes of a few small parts, gathered into one.
//!
//! hyper hands over a head and a body, or a chunk's size, its bytes and its end, as a list of parts.
//! The kernel takes a list more slowly than one piece; for what fits on the stack the copy is the
//! cheaper way. Large bodies go as they are, uncopied.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Parts that are together no larger than this are copied.
const GATHERED_MAX: usize = 2048;

/// Writes `parts` to `socket`; gives how many bytes of them it took.
pub fn poll_write<S: AsyncWrite>(
    socket: Pin<&mut S>,
    cx: &mut Context<'_>,
    parts: &[IoSlice<'_>],
) -> Poll<Result<usize>> {
    let mut gathered = [0; GATHERED_MAX];
    let mut length = 0;
    for part in parts {
        match gathered.get_mut(length..length + part.len()) {
            Some(place) => place.copy_from_slice(part),
            None => return socket.poll_write_vectored(cx, parts),
        }
        length += part.len();
    }
    socket.poll_write(cx, &gathered[..length])
}

/// A socket that gathers what it is to write.
pub struct Gathering<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        poll_write(Pin::new(&mut self.0), cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{GATHERED_MAX, Gathering};
    use std::io::IoSlice;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Writes `parts` of these lengths through and compares what arrives.
    async fn check(lengths: &[usize]) {
        let parts: Vec<Vec<u8>> =
            lengths.iter().enumerate().map(|(index, length)| vec![index as u8 + 1; *length]).collect();
        let whole = parts.concat();
        let (near, mut far) = tokio::io::duplex(whole.len() + 1);
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut near = Gathering(near);
        let mut written = near.write_vectored(&slices).await.unwrap();
        // A socket may take less than all of a list: the rest is written after it.
        while written < whole.len() {
            written += near.write(&whole[written..]).await.unwrap();
        }
        drop(near);
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, whole, "{lengths:?}");
    }

    #[tokio::test]
    async fn nothing_is_lost_on_either_side_of_the_bound() {
        for lengths in [
            [1, 2, 3].as_slice(),
            &[GATHERED_MAX],
            &[GATHERED_MAX - 1, 1],
            &[GATHERED_MAX, 1],
            &[1, GATHERED_MAX],
            &[5, 100_000, 2],
            &[],
        ] {
            check(lengths).await;
        }
    }
}
