//! Values that a twin's answers give.

use twintap_stream::message::field_values;

use super::*;

impl TwinSide<'_> {
    /// Takes the values of an answer, in the order of the plan's `produces`.
    pub(crate) fn handle_values(&mut self, position: u32, values: Vec<Option<Bytes>>, now: Now) {
        self.values.put(position, values);
        self.schedule.handle_values(position, now.run_ns());
    }

    /// Takes values of answers that go on: who has all that it uses of one waits for it no
    /// longer.
    pub(super) fn take_heard(&mut self, now: Now) {
        for (position, EarlyValue { path, value }) in std::mem::take(&mut self.heard) {
            let Some(batch) = self.batch(position) else {
                continue;
            };
            if !self.values.put_early(&batch, position, &path, value) {
                continue;
            }
            let table = &batch.table;
            for edge in table.waiters(table.place(position)) {
                let waiter = table.first().wrapping_add(edge.waiter);
                if edge.wants_values && self.values.has_all_of(&batch, waiter, position) {
                    self.schedule.handle_early(position, waiter, now.run_ns());
                }
            }
        }
    }

    /// Takes values of an answer to an earlier batch's request, for the batch from
    /// `first` on.
    pub(crate) fn handle_carried(
        &mut self,
        first: u32,
        producer: u32,
        values: CarriedValues,
        now: Now,
    ) {
        self.values.carry(first, producer, values);
        self.schedule.handle_carried(first, producer, now.run_ns());
    }
}

/// The paths of what others use of the answer to a request, where that may be a conversation:
/// its values are of use before it ends.
pub(super) fn wanted(
    batch: &Batch<'_>,
    position: u32,
    wire: &Wire,
    opens_socket: bool,
) -> Option<Arc<[Arc<str>]>> {
    let produces = &batch.request(position).produces;
    if produces.is_empty() {
        return None;
    }
    let may_go_on = opens_socket
        || match wire {
            // Whoever wants events says so before the body.
            Wire::Http1(pieces) => pieces.first().is_some_and(|head| {
                memchr::memmem::find(&head.bytes, b"text/event-stream").is_some()
            }),
            Wire::Http2(sections) => {
                let says = |name: &'static str, what: &[u8]| {
                    let mut values = field_values(&sections.fields, name);
                    values.any(|value| memchr::memmem::find(value, what).is_some())
                };
                says("content-type", b"application/grpc") || says("accept", b"text/event-stream")
            }
            Wire::Command(_) => false,
        };
    let paths = produces.iter();
    may_go_on.then(|| paths.map(|produced| Arc::from(&*produced.path)).collect())
}
