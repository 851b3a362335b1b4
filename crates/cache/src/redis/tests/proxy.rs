//! A line to Redis that can be made slow.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub(super) struct Proxy {
    pub(super) port: u16,
    delay_ms: Arc<AtomicU64>,
    _drain: DropGuard,
}

impl Proxy {
    /// Stands before the server on `port` of this machine.
    pub(super) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let (delay, token, lines) = (Arc::clone(&delay_ms), drain.clone(), tasks.clone());
        tasks.spawn(token.clone().run_until_cancelled_owned(async move {
            while let Ok((near, _)) = listener.accept().await {
                let line = carry(near, port, Arc::clone(&delay));
                lines.spawn(token.clone().run_until_cancelled_owned(line));
            }
        }));
        Self { port: own, delay_ms, _drain: drain.drop_guard() }
    }

    /// Holds every answer back for so long.
    pub(super) fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

async fn carry(near: TcpStream, port: u16, delay_ms: Arc<AtomicU64>) {
    let Ok(far) = TcpSocket::new_v4().unwrap().connect((Ipv4Addr::LOCALHOST, port).into()).await else {
        return;
    };
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let answers = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = far_in.read(&mut buffer).await {
            sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed))).await;
            if near_out.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = copy(&mut near_in, &mut far_out) => {}
    }
}
