//! The daemon dies and comes back while agents live: flows go on where they were.

use crate::faults::{BOOT, Play};
use crate::ship::{exchange, frame, payload_bytes};
use anyhow::{Result, ensure};
use twintap_proto::v1::Batch;

/// One more exchange of the flow as `batch` brought it, after that one: the flow closes after it.
fn once_more(batch: &mut Batch) -> Batch {
    let mut next = batch.clone();
    batch.records.pop();
    for record in &mut next.records {
        let sent: u64 = batch
            .records
            .iter()
            .filter(|earlier| earlier.from_server == record.from_server)
            .map(|earlier| earlier.payload.len() as u64)
            .sum();
        record.offset += sent;
        if let Some(end) = &mut record.end {
            end.client_final_offset *= 2;
            end.server_final_offset *= 2;
        }
    }
    next
}

#[test]
fn a_flow_goes_on_though_its_agent_said_nothing_for_a_while() -> Result<()> {
    let mut play = Play::new()?;
    let mut first = exchange(7, b"before");
    let second = once_more(&mut first);
    let total = payload_bytes(&first) + payload_bytes(&second);
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &first, total))?;
    ship.until_durable(&[1])?;
    drop(ship);

    play.restart()?;
    let mut ship = play.ship(BOOT)?;
    // The daemon commits once before it knows of any time, and once after.
    ship.next_marks()?;
    ship.tell_time(2)?;
    ship.next_marks()?;
    ship.send(frame(2, &second, total))?;
    ship.until_durable(&[2])?;
    ship.finish()?;
    let captures = play.end(&["/7", "/7"])?;
    ensure!(captures[0].store.stored == 2, "{captures:?}");
    Ok(())
}

#[test]
fn a_stream_that_ends_without_a_word_ends_no_flow() -> Result<()> {
    let play = Play::new()?;
    let whole = exchange(7, b"after");
    let mut request = whole.clone();
    let answer = Batch {
        records: request.records.split_off(1),
        ..whole.clone()
    };
    let total = payload_bytes(&whole);
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &request, total))?;
    ship.give_up();
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(2, &answer, total))?;
    ship.until_durable(&[1, 2])?;
    ship.finish()?;
    play.end(&["/7"])?;
    Ok(())
}
