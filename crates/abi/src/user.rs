//! What only user space needs.

use crate::{CloseRecord, Config, Endpoint, FlowKey, FlowState, Ledger, RecordHeader};

macro_rules! pod {
    ($($type:ty),+) => {$(
        // SAFETY: repr(C), integers and byte arrays only, no padding, any bit pattern is a value.
        unsafe impl aya::Pod for $type {}

        impl $type {
            /// Reads the value that `bytes` begin with, and gives what follows it.
            pub fn split_from(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let (head, rest) = bytes.split_at_checked(size_of::<Self>())?;
                // SAFETY: `head` has the size of the type, and any bit pattern is a value.
                Some((unsafe { head.as_ptr().cast::<Self>().read_unaligned() }, rest))
            }
        }
    )+};
}

pod!(
    CloseRecord,
    Config,
    Endpoint,
    FlowKey,
    FlowState,
    Ledger,
    RecordHeader
);

#[cfg(test)]
mod tests {
    use crate::RecordHeader;

    #[test]
    fn short_bytes_are_no_header() {
        assert_eq!(RecordHeader::split_from(&[0; 95]), None);
        let bytes = [0; 97];
        let (header, rest) = RecordHeader::split_from(&bytes).expect("96 bytes are enough");
        assert_eq!((header, rest), (RecordHeader::default(), &[0][..]));
    }
}
