//! How the plan grows, and what is settled goes.

use super::*;

/// Requests taken from the loader before anything else has its turn.
const LOADS_AT_ONCE: usize = 256;
/// With fewer requests here, more are taken from the loader; one by one, each
/// would wake it.
const FEW_LOADS: usize = 1024;
/// How often flows are looked through for idle ones, and how long these keep their
/// connections, where the plan grows.
const SWEEP_EVERY_NS: u64 = 5_000_000_000;
const KEEP_IDLE_NS: u64 = 60_000_000_000;

impl<'a> Engine<'a> {
    /// Takes up what the plan has grown by.
    pub(super) fn take_batches(&mut self) {
        while let Some(feed) = &self.feed {
            match feed.try_recv() {
                Ok(fed) => {
                    self.horizon_ns = self.horizon_ns.max(fed.horizon_ns);
                    if let Some(table) = fed.table {
                        // The comparing side outlives this one.
                        let window = Arc::clone(&fed.window);
                        let _ = self.outcomes.send(ToWitness::Appended(window));
                        self.append(Requests::Window(Arc::clone(&fed.window)), table);
                        self.want(fed.window.first, &fed.window.carried);
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.feed = None;
                    self.horizon_ns = u64::MAX;
                }
            }
        }
    }

    pub(super) fn append(&mut self, requests: Requests<'a>, table: Arc<Timetable>) {
        let Some(len) = u32::try_from(requests.len()).ok().filter(|&len| len > 0) else {
            return;
        };
        let first = requests.first();
        let mut flows = self.flows.take(&requests);
        let openings = std::mem::take(&mut flows.openings);
        let batch = Rc::new(Batch {
            table,
            requests,
            flows,
        });
        for twin in &mut self.twins {
            twin.append(&batch);
        }
        self.batches.push(first, len, batch);
        if self.next == self.end {
            self.next = first;
        }
        self.end = first.wrapping_add(len);
        if self.common.options.pace != Pace::Asap {
            let (batches, tempo) = (&self.batches, &self.time.tempo);
            self.openings
                .extend(openings, |position| due_ns(batches, tempo, position));
        }
        if self.leads() {
            self.common.control.add_planned(u64::from(len));
        }
    }

    /// Asks for values of earlier answers, of each as soon as it is there.
    pub(super) fn want(&mut self, first: u32, carried: &[Carried]) {
        for of_one in carried.chunk_by(|a, b| a.producer == b.producer) {
            for side in &self.twins {
                self.wanted.push(Wanted {
                    first,
                    producer: of_one[0].producer,
                    twin: side.twin,
                    paths: of_one.iter().map(|carried| carried.path.clone()).collect(),
                });
            }
        }
    }

    /// Lets go what is settled at all twins of the thread, and connections of flows that are idle.
    pub(super) fn let_go(&mut self) {
        if !self.common.grows {
            return;
        }
        for twin in &mut self.twins {
            twin.forget_settled();
        }
        while let Some((first, _)) = self.batches.front()
            && self.twins.iter().all(|twin| twin.first() != Some(first))
        {
            self.batches.pop_front();
        }
        let now_ns = self.common.clock.now_ns();
        if self.sweep_ns <= now_ns {
            self.sweep_ns = now_ns + SWEEP_EVERY_NS;
            let before_ns = match self.common.goes_on() {
                true => now_ns.saturating_sub(KEEP_IDLE_NS),
                false => u64::MAX,
            };
            for flow in 0..self.flows.len() {
                if self.twins.iter().all(|twin| twin.is_idle(flow, before_ns)) {
                    for twin in &mut self.twins {
                        twin.close_idle(flow);
                    }
                    self.flows.forget(flow);
                }
            }
        }
    }

    pub(super) fn take_loads(&mut self) {
        self.is_loading |= self.window.len() < FEW_LOADS;
        if !self.is_loading {
            return;
        }
        let mut taken = std::mem::take(&mut self.taken);
        self.loads.take(LOADS_AT_ONCE, &mut taken);
        self.is_loading = !taken.is_empty();
        for (position, loaded) in taken.drain(..) {
            // What a seek passed over comes too late.
            if !self.is_past(position) {
                self.window.put(position, loaded);
            }
        }
        self.taken = taken;
    }
}
