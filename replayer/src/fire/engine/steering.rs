//! Pausing, speed, seeking, stopping, and twins that are down.

use super::*;

impl<'a> Engine<'a> {
    pub(super) fn steer(&mut self) {
        let steering = self.common.control.steering();
        if self.leads() {
            self.lead(steering);
        } else {
            self.take_over_time();
        }
        if steering == Steering::Stop && self.give_up_ns.is_none() {
            self.stop();
        }
        self.settle_stopped();
    }

    /// Pauses, goes on, and says how time runs from now on.
    fn lead(&mut self, steering: Steering) {
        let before = self.time;
        let waits =
            self.common.options.when_down == WhenDown::Wait && self.common.control.is_a_twin_down();
        let is_paused = match steering {
            Steering::Pause => true,
            Steering::Go => waits,
            Steering::Stop => false,
        };
        match (is_paused, self.time.pause) {
            (true, None) => self.time.pause = Some(self.common.clock.now_ns()),
            (false, Some(since)) => {
                self.time.pause = None;
                self.time.paused_ns += self.common.clock.now_ns().saturating_sub(since);
            }
            _ => {}
        }
        if steering != Steering::Stop {
            self.steer_time();
        }
        if self.time != before {
            self.course.set_time(self.time);
            self.common.control.wake_one(1);
        }
    }

    /// Takes over how time runs from the thread that leads.
    pub(super) fn take_over_time(&mut self) {
        let Some(time) = self.course.time_since(&mut self.known_time) else {
            return;
        };
        let is_sought = time.sought_ns > self.time.sought_ns;
        if is_sought {
            self.release();
        }
        self.time = time;
        if is_sought {
            self.pass_over(time.sought_ns);
        }
    }

    /// Follows changes of speed and seeks, and tells how far the recording is.
    fn steer_time(&mut self) {
        let run_ns = self.now().run_ns();
        let plan_speed = self.common.options.plan_speed;
        if let Some(speed) = self.common.control.speed() {
            let rate = speed / plan_speed;
            if rate != self.time.tempo.rate() {
                self.time.tempo.set_rate(run_ns, rate);
            }
        }
        if let Some(seek_ns) = self.common.control.take_seek() {
            let plan_ns = (seek_ns as f64 / plan_speed) as u64;
            if plan_ns > self.time.tempo.plan_ns(run_ns) {
                self.release();
                let run_ns = self.now().run_ns();
                self.time.tempo.seek(run_ns, plan_ns);
                self.time.sought_ns = plan_ns;
                self.pass_over(plan_ns);
            }
        }
        // What is not planned yet is not past.
        if self.time.tempo.plan_ns(run_ns) > self.horizon_ns {
            self.time.tempo.seek(run_ns, self.horizon_ns);
        }
        let recorded_ns = self.time.tempo.plan_ns(run_ns) as f64 * plan_speed;
        self.common.control.set_position(recorded_ns as u64);
    }

    /// Does not fire what is due before `plan_ns`.
    fn pass_over(&mut self, plan_ns: u64) {
        let now = self.now();
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
        while let Some((opening, _)) = self.openings.front()
            && self.is_past(opening.position)
        {
            self.openings.pop();
        }
    }

    /// Sends nothing more. What is not out is settled once that is known of all twins.
    fn stop(&mut self) {
        let now_ns = self.common.clock.now_ns();
        let grace_ns = nanos(self.common.options.stop_grace);
        self.give_up_ns = Some(now_ns.saturating_add(grace_ns));
        self.read_ahead.stop.store(true, Ordering::Relaxed);
        // Where nothing is due by the clock, what waited is no more than planned ahead.
        let was_due = !self.common.options.holds_back();
        let drained = self.twins.iter_mut().map(|side| {
            let drained = side.schedule.drain();
            let ahead = match was_due {
                true => HashSet::new(),
                false => drained.iter().copied().collect(),
            };
            let unsent = Unsent {
                drained: ahead,
                next: self.next,
                end: self.end,
            };
            self.course.end(side.twin, unsent);
            drained
        });
        self.stopped = Some(drained.collect());
        self.common.control.wake();
    }

    /// Refuses everything that is not out. Where rounds follow each other without end,
    /// what is out at no twin is nothing that the run lacks.
    fn settle_stopped(&mut self) {
        if self.stopped.is_none() {
            return;
        }
        // One twin's plan may have grown by what the other's has not yet.
        let Some(end) = self.course.agreed_end() else {
            return;
        };
        self.take_batches();
        if self.end != end && self.feed.is_some() {
            // It is on its way, and wakes this thread.
            return;
        }
        // What the plan would grow by further is not of this run.
        self.feed = None;
        let now = self.now();
        let is_endless = self.common.options.flows_end;
        let course = self.course;
        let is_lacked = |position| !is_endless || !course.is_unsent(position);
        let drained = self.stopped.take().unwrap_or_default();
        for (side, positions) in self.twins.iter_mut().zip(drained) {
            for position in positions {
                match is_lacked(position) {
                    true => side.refuse(position, "stopped", now),
                    false => side.leave_out(position, NOT_DUE, now),
                }
            }
        }
        while self.next != self.end {
            let position = self.next;
            self.next = position.wrapping_add(1);
            let skip = self.skip_reason(position);
            for side in &mut self.twins {
                match skip {
                    Some(reason) => side.skip(position, reason, now),
                    None if is_lacked(position) => side.refuse(position, "stopped", now),
                    None => side.leave_out(position, NOT_DUE, now),
                }
            }
        }
    }

    /// No twin is to have a request.
    pub(super) fn leave_out(&mut self, position: u32, word: &'static str, now: Now) {
        let skip = self.skip_reason(position);
        for twin in self.turn(position) {
            let side = &mut self.twins[twin];
            match skip {
                Some(reason) => side.skip(position, reason, now),
                None => side.leave_out(position, word, now),
            }
            self.window.used(position, twin);
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
        if !is_down && !self.course.has_shed() {
            return None;
        }
        let (batch, place) = self.batches.get(position)?;
        let Requests::Window(window) = &batch.requests else {
            return None;
        };
        let session = &window.sessions[window.requests[place].session as usize];
        let is_shed = self.course.is_shed(session);
        if is_down && !is_shed {
            self.course.shed(session);
        }
        (is_down || is_shed).then_some(SHED)
    }
}
