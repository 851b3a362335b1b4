//! The control thread's part: signals, the admin plane, and the drain.

use crate::listener;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long an operator's client may take over a request's head, and between requests.
const ADMIN_HEADER: Duration = Duration::from_secs(30);
/// Operators' connections at once.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// The signals that mean something here.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Until one of them says to stop.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs the watch over the configuration, told of each SIGHUP, until a signal says to stop.
    pub(super) async fn run<F: Future<Output = Infallible>>(
        &mut self,
        reload: impl FnOnce(tokio::sync::watch::Receiver<()>) -> F,
    ) {
        let (told, hangups) = tokio::sync::watch::channel(());
        let mut reload = std::pin::pin!(reload(hangups));
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => told.send_replace(()),
                never = &mut reload => match never {},
            }
        }
    }
}

/// Serves the admin plane until dropped.
pub(super) async fn serve_admin(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
) -> io::Result<Infallible> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let tasks = TaskTracker::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) if tasks.len() < ADMIN_CONNECTIONS_MAX => stream,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the admin plane");
                tokio::time::sleep(listener::ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, acceptor) = (router.clone(), acceptor.clone());
        tasks.spawn(async move {
            match acceptor {
                None => admin_connection(TokioIo::new(stream), router).await,
                Some(acceptor) => match tokio::time::timeout(ADMIN_HEADER, acceptor.accept(stream)).await {
                    Ok(Ok(secured)) => admin_connection(TokioIo::new(secured), router).await,
                    _ => tracing::debug!("a TLS handshake on the admin plane failed"),
                },
            }
        });
    }
}

async fn admin_connection<S>(io: TokioIo<S>, router: Router)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_HEADER)
        .serve_connection(io, TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection on the admin plane ended");
    }
}

/// Waits for the workers to finish what is under way, for `patience` at most or until a second
/// signal, and then cuts off what is left.
pub(super) async fn drain(
    threads: Vec<JoinHandle<()>>,
    patience: Duration,
    abort: &CancellationToken,
    signals: &mut Signals,
) {
    tracing::info!(seconds = patience.as_secs(), "draining: requests under way may finish");
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            let _ = thread.join();
        }
    });
    let mut joined = std::pin::pin!(joined);
    let cut_off = tokio::select! {
        _ = &mut joined => return,
        () = tokio::time::sleep(patience) => "the drain time-out has passed",
        () = signals.stop() => "a second signal came",
    };
    tracing::warn!("{cut_off}: requests under way are cut off");
    abort.cancel();
    let _ = joined.await;
}
