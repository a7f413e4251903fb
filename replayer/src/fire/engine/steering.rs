//! Pausing, speed, seeking, stopping, and twins that are down.

use super::*;

/// Sessions that are remembered as not gone on with.
const MOST_SHED: usize = 100_000;

impl<'a> Engine<'a> {
    pub(super) fn steer(&mut self) {
        let steering = self.common.control.steering();
        let waits =
            self.common.options.when_down == WhenDown::Wait && self.common.control.is_a_twin_down();
        let is_paused = match steering {
            Steering::Pause => true,
            Steering::Go => waits,
            Steering::Stop => false,
        };
        match (is_paused, self.pause) {
            (true, None) => self.pause = Some(self.common.clock.now_ns()),
            (false, Some(since)) => {
                self.pause = None;
                self.paused_ns += self.common.clock.now_ns().saturating_sub(since);
            }
            _ => {}
        }
        if steering == Steering::Stop && self.give_up_ns.is_none() {
            self.stop();
        }
        if self.give_up_ns.is_none() {
            self.steer_time();
        }
    }

    /// Follows changes of speed and seeks, and tells how far the recording is.
    pub(super) fn steer_time(&mut self) {
        let run_ns = self.now().run_ns();
        let plan_speed = self.common.options.plan_speed;
        if let Some(speed) = self.common.control.speed() {
            let rate = speed / plan_speed;
            if rate != self.tempo.rate() {
                self.tempo.set_rate(run_ns, rate);
            }
        }
        if let Some(seek_ns) = self.common.control.take_seek() {
            let plan_ns = (seek_ns as f64 / plan_speed) as u64;
            if plan_ns > self.tempo.plan_ns(run_ns) {
                self.release();
                self.seek(plan_ns);
            }
        }
        // What is not planned yet is not past.
        if self.tempo.plan_ns(run_ns) > self.horizon_ns {
            self.tempo.seek(run_ns, self.horizon_ns);
        }
        let recorded_ns = self.tempo.plan_ns(run_ns) as f64 * plan_speed;
        self.common.control.set_position(recorded_ns as u64);
    }

    /// Goes on from `plan_ns`: what is due before is not fired.
    pub(super) fn seek(&mut self, plan_ns: u64) {
        let now = self.now();
        self.tempo.seek(now.run_ns(), plan_ns);
        while self.next != self.end
            && let Some((batch, place)) = self.batches.get(self.next)
            && batch.table.due_ns(place) < plan_ns
        {
            let position = self.next;
            self.next = position.wrapping_add(1);
            self.leave_out(position, SEEKED, now);
        }
        self.read_ahead.first.store(self.next, Ordering::Relaxed);
        self.read_ahead.has_first.store(true, Ordering::Relaxed);
        // What still goes over flows whose first requests are passed over opens
        // them when it is due.
        while let Some((
            Opening {
                position: first, ..
            },
            _,
        )) = self.openings.front()
            && self.is_past(first)
        {
            self.openings.pop();
        }
    }

    /// Refuses everything that is not out.
    pub(super) fn stop(&mut self) {
        let now = self.now();
        let grace_ns = nanos(self.common.options.stop_grace);
        self.give_up_ns = Some(now.clock_ns.saturating_add(grace_ns));
        self.read_ahead.stop.store(true, Ordering::Relaxed);
        // What the plan would grow by is not of this run.
        self.feed = None;
        let options = self.common.options;
        // Where rounds follow each other without end, what is planned ahead is nothing that
        // the run lacks; where nothing is due by the clock, that is all that is out at neither twin.
        let is_endless = options.flows_end;
        let drained = self.twins.each_mut().map(|twin| twin.schedule.drain());
        let mut ahead: HashSet<u32> = HashSet::new();
        if is_endless && options.holds_back() {
            let [candidate, baseline] = drained.each_ref();
            let of_candidate: HashSet<u32> = candidate.iter().copied().collect();
            let of_both = baseline
                .iter()
                .filter(|position| of_candidate.contains(position));
            ahead.extend(of_both);
        }
        for (twin, positions) in self.twins.iter_mut().zip(drained) {
            for position in positions {
                match ahead.contains(&position) {
                    true => twin.leave_out(position, NOT_DUE, now),
                    false => twin.refuse(position, "stopped", now),
                }
            }
        }
        while self.next != self.end {
            let position = self.next;
            self.next = position.wrapping_add(1);
            if is_endless {
                self.leave_out(position, NOT_DUE, now);
                continue;
            }
            let skip = self.skip_reason(position);
            for twin in &mut self.twins {
                match skip {
                    Some(reason) => twin.skip(position, reason, now),
                    None => twin.refuse(position, "stopped", now),
                }
            }
        }
    }

    /// Neither twin is to have a request.
    pub(super) fn leave_out(&mut self, position: u32, word: &'static str, now: Now) {
        let skip = self.skip_reason(position);
        for twin in in_turn(position) {
            let side = &mut self.twins[index(twin)];
            match skip {
                Some(reason) => side.skip(position, reason, now),
                None => side.leave_out(position, word, now),
            }
            let freed = self.window.used(position, twin);
            self.read_ahead.free(freed);
        }
    }

    /// Why a request that is due now is not fired at twins of which one is down, or
    /// was when an earlier one of its session was due.
    pub(super) fn down_word(&mut self, position: u32) -> Option<&'static str> {
        let when_down = self.common.options.when_down;
        if !self.common.grows || when_down == WhenDown::Wait {
            return None;
        }
        let is_down = self.common.control.is_a_twin_down();
        if when_down == WhenDown::Skip {
            return is_down.then_some(TWIN_DOWN);
        }
        if !is_down && self.shed.is_empty() {
            return None;
        }
        let (batch, place) = self.batches.get(position)?;
        let Requests::Window(window) = &batch.requests else {
            return None;
        };
        let session = &window.sessions[window.requests[place].session as usize];
        if is_down && !self.shed.contains(session) {
            // Bounded: whoever is forgotten is fired again, and fails visibly.
            if self.shed.len() >= MOST_SHED {
                self.shed.clear();
            }
            self.shed.insert(Arc::clone(session));
        }
        self.shed.contains(session).then_some(SHED)
    }
}
