//! What the daemon tells agents: orders for flows, and the switch that ends all capture.

use crate::faults::{BOOT, Play};
use crate::ship::{exchange, frame, payload_bytes};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_proto::v1::Batch;
use twintap_proto::v1::flow_order::Order;

/// A flow that begins with these bytes of its client.
fn opening(flow: u64, bytes: Vec<u8>) -> Batch {
    let mut batch = exchange(flow, b"");
    batch.records.truncate(1);
    batch.records[0].payload = bytes.into();
    batch
}

fn tls_hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 200];
    hello.resize(205, 7);
    hello
}

#[test]
fn flows_that_nobody_can_read_are_stopped() -> Result<()> {
    let play = Play::with(&["--unclaimed", "stop"])?;
    let mut ship = play.ship(BOOT)?;
    // The first 4 KiB may be the preface of a proxy.
    let batches = [
        opening(7, tls_hello()),
        opening(8, vec![0xEE; 4_000]),
        opening(9, vec![0xEE; 5_000]),
        exchange(10, b"readable"),
    ];
    let total = batches.iter().map(payload_bytes).sum();
    for (sequence, batch) in (1..).zip(&batches) {
        ship.send(frame(sequence, batch, total))?;
    }
    ship.until_durable(&[1, 2, 3, 4])?;
    ensure!(
        ship.orders == [(7, Order::Stop), (9, Order::Stop)],
        "{:?}",
        ship.orders
    );
    ensure!(play.metric("twintap_flow_orders_total")? == 2);
    ship.finish()?;
    play.end(&["/10"])?;
    Ok(())
}

#[test]
fn exchanges_of_protected_endpoints_are_not_stored() -> Result<()> {
    let play = Play::with(&["--protect", "GET /7", "--protect", "/cards/{id}"])?;
    let mut ship = play.ship(BOOT)?;
    let batches = [exchange(7, b"secret"), exchange(70, b"open")];
    let total = batches.iter().map(payload_bytes).sum();
    for (sequence, batch) in (1..).zip(&batches) {
        ship.send(frame(sequence, batch, total))?;
    }
    ship.until_durable(&[1, 2])?;
    ensure!(
        ship.orders == [(7, Order::HeadersOnly)],
        "{:?}",
        ship.orders
    );
    ship.finish()?;
    let captures = play.end(&["/70"])?;
    let discarded = &captures[0].store.discarded;
    ensure!(discarded.get("protected") == Some(&1), "{discarded:?}");
    Ok(())
}

#[test]
fn what_an_order_kept_back_is_a_gap_and_not_the_end() -> Result<()> {
    let play = Play::with(&[])?;
    let mut ship = play.ship(BOOT)?;
    let mut batch = exchange(7, &[b'x'; 500]);
    // The answer's last 300 bytes were kept back.
    let mut rest = batch.records[1].clone();
    let body = &batch.records[1].payload;
    let kept = body.len() - 300;
    rest.offset = kept as u64;
    rest.withheld_bytes = 300;
    rest.payload = bytes::Bytes::new();
    batch.records[1].payload = body.slice(..kept);
    batch.records.insert(2, rest);
    let total = payload_bytes(&batch);
    ship.send(frame(1, &batch, total))?;
    ship.until_durable(&[1])?;
    ship.finish()?;
    let captures = play.end(&["/7"])?;
    ensure!(captures[0].gaps == 1, "{captures:?}");
    Ok(())
}

#[test]
fn agents_are_paused_and_resumed_and_stay_paused_over_a_restart() -> Result<()> {
    let mut play = Play::with(&[])?;
    let (code, refusal) = play.ctl(&["agents", "pause", "--node", "nodee-1"])?;
    ensure!(code == 3 && refusal.contains("nodee-1"), "{refusal}");
    let mut ship = play.ship(BOOT)?;
    ensure!(!ship.welcome_paused);
    let steer = |play: &Play, ship: &mut crate::ship::Ship, word: &str| -> Result<Value> {
        std::thread::scope(|scope| {
            let agent = scope.spawn(|| {
                let told = ship.until_told()?;
                ship.tell_paused(1, told)
            });
            // It ends once the agent has said that it does as it is told.
            let (code, output) = play.ctl(&["agents", word])?;
            ensure!(code == 0, "{output}");
            agent.join().ok().context("a panic")??;
            Ok(serde_json::from_str(&output)?)
        })
    };
    let agent = steer(&play, &mut ship, "pause")?;
    ensure!(
        agent["paused"] == true && agent["connected"] == true && agent["node"] == "node-1",
        "{agent}"
    );
    ensure!(play.metric("twintap_agents_paused")? == 1);
    drop(ship);

    play.restart()?;
    let mut ship = play.ship(BOOT)?;
    ensure!(ship.welcome_paused, "a restart must not set it off again");
    ship.tell_paused(2, true)?;
    let agent = steer(&play, &mut ship, "resume")?;
    ensure!(agent["paused"] == false, "{agent}");
    ship.finish()?;
    play.end(&[])?;
    Ok(())
}
