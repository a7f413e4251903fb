//! The shop's work in the background.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::routes::AppState;

/// Once a second, hands paid orders to the carrier and forgets expired sessions.
///
/// Nothing of this shows in an answer: the time at which it happens would.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let state = state.clone();
        let done = tokio::task::spawn_blocking(move || state.store.tidy()).await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("twintap-shop: background work failed: {error}"),
            Err(error) => eprintln!("twintap-shop: background work failed: {error}"),
        }
    }
}

const EVERY: Duration = Duration::from_secs(1);
