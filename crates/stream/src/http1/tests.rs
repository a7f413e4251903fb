use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::head::{find_end, parse_request, parse_response};

/// Parts of heads that parsers trip over.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"GET ",
        b"get\t",
        b"/ HTTP/1.1\r\n",
        b" / a b  HTTP/1.0 \n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1  007\t\n",
        b"HTTP/1.1 200",
        b"Name: value\r\n",
        b"Name:value \n",
        b"Name : \t value\t\r\n",
        b"Name:\r\n",
        b": x\r\n",
        b" fold\r\n",
        b"\t\r\n",
        b" \n",
        b"no colon\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b":",
    ];
    prop_oneof![
        4 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_head_is_kept_as_it_was_sent(parts in vec(part(), 1..12)) {
        let bytes = Bytes::from(parts.concat());
        if let Some(end) = find_end(&bytes, 0) {
            let head = bytes.slice(..end);
            if let Some((request, _)) = parse_request(&head) {
                prop_assert_eq!(request.to_wire(), head.clone());
            }
            if let Some((response, _)) = parse_response(&head) {
                prop_assert_eq!(response.to_wire(), head);
            }
        }
    }

    #[test]
    fn a_head_ends_in_the_same_place_however_it_is_searched(
        parts in vec(part(), 1..12),
        from in any::<prop::sample::Index>(),
    ) {
        let bytes = parts.concat();
        let end = find_end(&bytes, 0);
        let from = from.index(bytes.len() + 1);
        if find_end(&bytes[..from], 0).is_none() {
            prop_assert_eq!(find_end(&bytes, from), end);
        }
    }
}
