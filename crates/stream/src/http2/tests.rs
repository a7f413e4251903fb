use super::*;

#[test]
fn an_idle_connection_is_small() {
    let http2 = Http2::new(Start {
        from: Watermark::default(),
        client_is_lost: false,
        server_is_lost: false,
        has_gap: false,
        begins: true,
        first_index: 0,
    });
    let bytes = size_of_val(&http2);
    assert!(bytes <= 1024, "{bytes} bytes beside the header tables");
    assert_eq!((http2.held_bytes(), http2.state_bytes()), (0, 0));
}
