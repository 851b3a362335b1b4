//! How many are under way.

use crate::stage::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use work::pool::Bounds;
use work::{Context, Handlers, Options, Queue};

#[tokio::test]
async fn a_pool_grows_with_the_backlog_and_shrinks_when_it_is_idle() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let open = Arc::new(AtomicBool::new(false));
    let (notes, gate) = (diary.clone(), Arc::clone(&open));
    let handlers = Handlers::new().on("work", move |_: Context| {
        let (notes, gate) = (notes.clone(), Arc::clone(&gate));
        async move {
            notes.note("begun");
            while !gate.load(Ordering::SeqCst) {
                tokio::time::sleep(ms(5)).await;
            }
            Ok(())
        }
    });
    let queue = Queue { workers: Bounds { min: 1, max: 64 }, ..Queue::new("default") };
    let act = stage.run(handlers, Options { patience: ms(50), workers: 40, ..with_queue(queue) });
    let workers = || act.handle.report().queues[0].workers;
    assert_eq!(workers(), 1);
    let ids = add_all(&act.client, drafts("work", 200)).await;
    // As many as the whole process may have.
    diary.reaches(40).await;
    eventually(async || (act.handle.report().held == 40).then_some(())).await;
    assert_eq!((diary.len(), workers()), (40, 64));
    open.store(true, Ordering::SeqCst);
    stage.all_over(&ids).await;
    eventually(async || (workers() == 1).then_some(())).await;
    act.drain().await;
}
