//! Cgroups, servers, clients and namespaces for the tests of the capture.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
pub use twintap_abi::Direction;
use twintap_abi::{CloseRecord, Ledger, MID_STREAM_OFFSET, Order, RecordHeader, tcp_flags};
use twintap_agent::{
    cgroup,
    probes::{Filters, Heartbeat, KernelLedger, LateCloses, OBJECT, PauseReason, Probes, Settings},
    rings::{Captured, Rings},
    roles,
};
use twintap_tests::{Cgroup, Privileges, Process, process::Start, skip};

/// What a helper process is to do, and where.
const HELPER: &str = "TWINTAP_TEST_HELPER";
const ADDRESS: &str = "TWINTAP_TEST_ADDRESS";
const BYTES: &str = "TWINTAP_TEST_BYTES";

/// How long a process may take for one thing: more than any does.
const LIMIT: Duration = Duration::from_secs(60);

/// Says why and gives true where the tests cannot run.
pub fn skips() -> bool {
    let missing = Privileges::of_this_process().missing();
    let no_programs = OBJECT
        .is_empty()
        .then_some("kernel programs (cargo xtask build-ebpf)");
    let Some(missing) = missing.or(no_programs) else {
        return false;
    };
    let test = thread::current().name().unwrap_or("capture").to_owned();
    skip(&test, missing);
    true
}

/// A cgroup of the test's own.
pub fn new_cgroup() -> Cgroup {
    Cgroup::new("test").expect("a new cgroup")
}

/// The kernel programs on a cgroup of their own, drained only when asked.
pub struct Capture {
    probes: Probes,
    rings: Rings,
    late_closes: LateCloses,
    ledger: KernelLedger,
    heartbeat: Heartbeat,
    drained: Vec<Captured>,
    pub cgroup: Cgroup,
}

impl Capture {
    pub fn start(ring_bytes: u32, filters: &Filters) -> Self {
        let mut capture = Self::start_detached(ring_bytes, filters);
        capture.attach();
        capture
    }

    pub fn start_detached(ring_bytes: u32, filters: &Filters) -> Self {
        Self::with_heartbeat_limit(ring_bytes, filters, Duration::from_secs(3600))
    }

    /// Programs that have had one heartbeat.
    pub fn with_heartbeat_limit(ring_bytes: u32, filters: &Filters, limit: Duration) -> Self {
        let settings = Settings {
            rings: 2,
            ring_bytes,
            max_flows: 1024,
            heartbeat_limit: limit,
        };
        let mut probes = Probes::load(OBJECT, &settings).expect("the programs load");
        probes.set_filters(filters).expect("the filters fit");
        let mut heartbeat = probes.take_heartbeat().expect("the map");
        heartbeat.beat().expect("the map takes it");
        Self {
            rings: Rings::new(probes.take_rings().expect("the rings")),
            late_closes: probes.take_late_closes().expect("the table"),
            ledger: probes.take_ledger().expect("the ledger"),
            heartbeat,
            probes,
            drained: Vec::new(),
            cgroup: new_cgroup(),
        }
    }

    pub fn attach(&mut self) {
        let mount = cgroup::mount_point().expect("cgroup v2");
        let name = self.cgroup.path().to_str().expect("ASCII");
        let cgroup = cgroup::Cgroup::open(&mount, name).expect("it exists");
        self.probes
            .attach(&cgroup.folder)
            .expect("the programs attach");
        let roles = roles::of_live_sockets(std::slice::from_ref(&cgroup));
        self.probes.seed_roles(&roles).expect("the table has room");
    }

    pub fn set_filters(&mut self, filters: &Filters) {
        self.probes.set_filters(filters).expect("the filters fit");
    }

    pub fn order(&mut self, flow: u64, order: Option<Order>) {
        self.probes.order(flow, order).expect("the table has room");
    }

    pub fn pause(&mut self, paused: bool) {
        let reason = PauseReason::Ordered;
        self.probes.set_paused(reason, paused).expect("the map");
    }

    pub fn shed_shares(&mut self, shares: u32) {
        self.probes.set_shed_shares(shares).expect("the map");
    }

    pub fn beat(&mut self) {
        self.heartbeat.beat().expect("the map takes it");
    }

    pub fn cgroup_id(&self) -> u64 {
        let folder = fs::metadata(self.cgroup.path());
        folder.expect("it exists").ino()
    }

    pub fn ledger(&self) -> Ledger {
        self.ledger.read().expect("the ledger")
    }

    /// Drains while `work` runs in another thread, so that what it moves may be larger than the rings.
    pub fn drain_during<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        let rings = &mut self.rings;
        let drained = &mut self.drained;
        thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                drained.extend(std::iter::from_fn(|| rings.next_record()));
                thread::sleep(Duration::from_millis(1));
            }
            work.join().expect("the work does not panic")
        })
    }

    /// Everything that is in the rings, once the kernel has finished with the connections.
    pub fn records(&mut self) -> Vec<Captured> {
        let mut records = std::mem::take(&mut self.drained);
        let mut quiet = 0;
        while quiet < 5 {
            let before = records.len();
            records.extend(std::iter::from_fn(|| self.rings.next_record()));
            records.extend(self.late_closes.take().into_iter().map(Captured::Close));
            quiet = if records.len() == before {
                quiet + 1
            } else {
                0
            };
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.rings.unreadable(), 0);
        records
    }

    /// The flows that the records tell of. Those that ended without a word are left out.
    pub fn flows(&mut self) -> HashMap<u64, Flow> {
        let mut flows: HashMap<u64, Flow> = HashMap::new();
        for record in self.records() {
            let header = *record.header();
            let flow = flows
                .entry(header.flow)
                .or_insert_with(|| Flow::new(header));
            flow.add(record);
        }
        flows
    }
}

/// A flow as it was captured.
pub struct Flow {
    pub header: RecordHeader,
    pub close: Option<CloseRecord>,
    ingress: Stream,
    egress: Stream,
}

impl Flow {
    fn new(header: RecordHeader) -> Self {
        Self {
            header,
            close: None,
            ingress: Stream::default(),
            egress: Stream::default(),
        }
    }

    fn add(&mut self, record: Captured) {
        match record {
            Captured::Segment(header, payload) => {
                let stream = if header.direction == Direction::Ingress as u8 {
                    &mut self.ingress
                } else {
                    &mut self.egress
                };
                stream.add(&header, payload);
            }
            Captured::Close(close) => {
                assert!(self.close.is_none(), "a flow ends once");
                self.close = Some(close);
            }
        }
    }

    pub fn stream(&self, direction: Direction) -> &Stream {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub fn captured_bytes(&self) -> u64 {
        self.ingress.captured + self.egress.captured
    }

    /// Bytes that were captured more than once.
    pub fn repeated_bytes(&self) -> u64 {
        self.captured_bytes() - self.ingress.bytes() - self.egress.bytes()
    }

    /// Records of one segment have the same time.
    pub fn largest_segment(&self) -> u64 {
        let sizes = self
            .ingress
            .segments
            .values()
            .chain(self.egress.segments.values());
        sizes.copied().max().unwrap_or(0)
    }
}

/// One direction of a flow as it was captured.
#[derive(Default)]
pub struct Stream {
    pieces: BTreeMap<u64, Bytes>,
    segments: HashMap<u64, u64>,
    captured: u64,
    pub begin_seen: bool,
    pub end_seen: bool,
}

impl Stream {
    fn add(&mut self, header: &RecordHeader, payload: Bytes) {
        self.begin_seen |= header.tcp_flags & tcp_flags::SYN != 0;
        self.end_seen |= header.tcp_flags & tcp_flags::FIN != 0;
        self.captured += payload.len() as u64;
        *self.segments.entry(header.boottime_ns).or_default() += payload.len() as u64;
        if payload.is_empty() {
            return;
        }
        let kept = self.pieces.entry(header.offset).or_default();
        if kept.len() < payload.len() {
            *kept = payload;
        }
    }

    /// The stream without what overlaps.
    fn clean(&self) -> Vec<(u64, Bytes)> {
        let mut clean: Vec<(u64, Bytes)> = Vec::new();
        let mut end = 0;
        for (&offset, piece) in &self.pieces {
            let skip = usize::try_from(end.max(offset) - offset).expect("small");
            if skip < piece.len() {
                clean.push((offset + skip as u64, piece.slice(skip..)));
                end = offset + piece.len() as u64;
            }
        }
        clean
    }

    pub fn bytes(&self) -> u64 {
        self.clean()
            .iter()
            .map(|(_, piece)| piece.len() as u64)
            .sum()
    }

    pub fn first_offset(&self) -> u64 {
        *self.pieces.keys().next().expect("it is not empty")
    }

    /// What is missing from the begin to the end, of which nothing may be known (0).
    pub fn holes(&self, end: u64) -> Vec<Range<u64>> {
        let mut holes = Vec::new();
        let mut at = if self
            .pieces
            .keys()
            .next()
            .is_some_and(|&first| first >= MID_STREAM_OFFSET)
        {
            self.first_offset()
        } else {
            0
        };
        for (offset, piece) in self.clean() {
            if offset > at {
                holes.push(at..offset);
            }
            at = offset + piece.len() as u64;
        }
        if end > at {
            holes.push(at..end);
        }
        holes
    }

    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (_, piece) in self.clean() {
            hash.update(&piece);
        }
        hash.finalize().into()
    }
}

/// A server in a process of its own, in the cgroup before it listens. It answers each byte with its
/// complement.
pub struct EchoServer {
    pub address: SocketAddr,
    _helper: Helper,
}

impl EchoServer {
    pub fn start(cgroup: &Cgroup, address: &str) -> Self {
        Self::start_in(cgroup, address, None)
    }

    pub fn start_in(cgroup: &Cgroup, address: &str, namespace: Option<&str>) -> Self {
        let what = [(HELPER, "server"), (ADDRESS, address)];
        let mut helper = Helper::start(&what, Some(cgroup), namespace);
        Self {
            address: helper.said("address").parse().expect("an address"),
            _helper: helper,
        }
    }
}

/// What a client sent and got.
pub struct Exchanged {
    pub sent_sha256: [u8; 32],
    pub received_sha256: [u8; 32],
}

/// A connection to an [`EchoServer`].
pub struct Client {
    stream: TcpStream,
    sent: Sha256,
    received: Sha256,
    seed: u64,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).expect("the server listens"),
            sent: Sha256::new(),
            received: Sha256::new(),
            seed: 0x9E37_79B9_7F4A_7C15,
        }
    }

    pub fn exchange(&mut self, bytes: usize) {
        let body = self.body(bytes);
        self.sent.update(&body);
        let mut writer = self.stream.try_clone().expect("descriptors are left");
        let sender = thread::spawn(move || writer.write_all(&body).expect("the server reads"));
        let mut answer = vec![0; bytes];
        self.stream
            .read_exact(&mut answer)
            .expect("the server answers");
        self.received.update(&answer);
        sender.join().expect("the sender ends");
    }

    pub fn finish(mut self) -> Exchanged {
        self.stream.shutdown(Shutdown::Write).expect("it is open");
        let mut rest = Vec::new();
        self.stream
            .read_to_end(&mut rest)
            .expect("the server closes");
        assert_eq!(rest.len(), 0);
        Exchanged {
            sent_sha256: self.sent.finalize().into(),
            received_sha256: self.received.finalize().into(),
        }
    }

    fn body(&mut self, bytes: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(bytes + 8);
        while body.len() < bytes {
            // xorshift64: no two places of the stream look alike.
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            body.extend_from_slice(&self.seed.to_le_bytes());
        }
        body.truncate(bytes);
        body
    }
}

/// One exchange on a connection of its own, from this process.
pub fn exchange(address: SocketAddr, bytes: usize) -> Exchanged {
    let mut client = Client::connect(address);
    client.exchange(bytes);
    client.finish()
}

/// A client in a process of its own.
pub struct ClientProcess;

impl ClientProcess {
    pub fn run(cgroup: &Cgroup, address: SocketAddr, bytes: usize) -> Exchanged {
        Self::run_anywhere(Some(cgroup), None, address, bytes)
    }

    pub fn run_in(namespace: &str, address: SocketAddr, bytes: usize) -> Exchanged {
        Self::run_anywhere(None, Some(namespace), address, bytes)
    }

    fn run_anywhere(
        cgroup: Option<&Cgroup>,
        namespace: Option<&str>,
        address: SocketAddr,
        bytes: usize,
    ) -> Exchanged {
        let (address, bytes) = (address.to_string(), bytes.to_string());
        let what = [(HELPER, "client"), (ADDRESS, &*address), (BYTES, &*bytes)];
        let mut helper = Helper::start(&what, cgroup, namespace);
        let exchanged = Exchanged {
            sent_sha256: unhex(&helper.said("sent")),
            received_sha256: unhex(&helper.said("received")),
        };
        let ended = helper.process.wait(LIMIT).expect("it ends");
        assert!(ended.success());
        exchanged
    }
}

/// Two namespaces with a cable between them; they go away with the value.
pub struct Veth {
    pub server_namespace: String,
    pub client_namespace: String,
}

impl Veth {
    pub fn create() -> Option<Self> {
        Command::new("ip").arg("-V").output().ok()?;
        let id = std::process::id();
        let net = Self {
            server_namespace: format!("twintap-s-{id}"),
            client_namespace: format!("twintap-c-{id}"),
        };
        let (server, client) = (&net.server_namespace, &net.client_namespace);
        for command in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("-n {server} link add veth0 type veth peer name veth0 netns {client}"),
            format!("-n {server} addr add 10.77.0.1/24 dev veth0"),
            format!("-n {client} addr add 10.77.0.2/24 dev veth0"),
            format!("-n {server} addr add fd77::1/64 dev veth0 nodad"),
            format!("-n {client} addr add fd77::2/64 dev veth0 nodad"),
            format!("-n {server} link set veth0 up"),
            format!("-n {client} link set veth0 up"),
        ] {
            assert!(ip(&command), "ip {command}");
        }
        Some(net)
    }

    pub fn server_v4(&self) -> String {
        "10.77.0.1:0".to_owned()
    }

    pub fn server_v6(&self) -> String {
        "[fd77::1]:0".to_owned()
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        for namespace in [&self.server_namespace, &self.client_namespace] {
            ip(&format!("netns delete {namespace}"));
        }
    }
}

fn ip(arguments: &str) -> bool {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    status.is_ok_and(|status| status.success())
}

/// The agent in a process of its own; ends with the value.
pub struct AgentProcess {
    process: Process,
    _folder: TempDir,
}

impl AgentProcess {
    /// Starts it and waits until its programs are attached.
    pub fn start(cgroup: &Cgroup, daemon: SocketAddr, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = format!("http://{daemon}");
        let path = cgroup.path().to_str().expect("ASCII");
        let named = ["--node", "test", "--daemon", &daemon, "--cgroup", path];
        let program = PathBuf::from(env!("CARGO_BIN_EXE_twintap-agent"));
        let arguments = named.iter().chain(more).copied();
        let mut process = Start::new(program, arguments, folder.path())
            .spawn()
            .expect("the agent");
        process
            .wait_for_line("capturing", Duration::from_secs(30))
            .expect("it captures");
        Self {
            process,
            _folder: folder,
        }
    }

    pub fn signal(&self, signal: i32) {
        self.process.signal(signal).expect("it runs");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.process.log()).expect("text")
    }

    /// Ends it in order; gives whether it ended well, and its log.
    pub fn terminate(mut self) -> (bool, String) {
        let ended = self.process.terminate(Duration::from_secs(60));
        let log = self.log();
        (ended.expect("it ends").success(), log)
    }

    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
    }
}

/// How many programs are attached to the cgroup itself.
pub fn attached(cgroup: &Cgroup) -> usize {
    let listed = Command::new("bpftool")
        .args(["cgroup", "show"])
        .arg(cgroup.path())
        .output()
        .expect("bpftool");
    let text = String::from_utf8_lossy(&listed.stdout);
    text.lines()
        .filter(|line| line.contains("twintap_"))
        .count()
}

/// Waits until `condition` holds.
#[track_caller]
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "it never came about");
        thread::sleep(Duration::from_millis(50));
    }
}

/// This test binary as another process; it enters the cgroup before it does anything, and ends with
/// the value.
struct Helper {
    process: Process,
    _folder: TempDir,
}

impl Helper {
    fn start(what: &[(&str, &str)], cgroup: Option<&Cgroup>, namespace: Option<&str>) -> Self {
        let own = env::current_exe().expect("its own path");
        let mut arguments: Vec<String> = what
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if let Some(namespace) = namespace {
            arguments.extend(["ip", "netns", "exec", namespace].map(str::to_owned));
        }
        arguments.push(own.to_str().expect("UTF-8").to_owned());
        arguments
            .extend(["--ignored", "--exact", "helper_process", "--nocapture"].map(str::to_owned));
        let folder = tempfile::tempdir().expect("a folder");
        let mut start = Start::new(PathBuf::from("env"), arguments, folder.path());
        if let Some(cgroup) = cgroup {
            start = start.in_cgroup(cgroup);
        }
        Self {
            process: start.spawn().expect("the test's own binary"),
            _folder: folder,
        }
    }

    /// The word after `key`, on a line of its own; the test harness writes others around it.
    fn said(&mut self, key: &str) -> String {
        let line = self.process.wait_for_line(&format!("{key} "), LIMIT);
        line.expect("the helper says it")
    }
}

/// What a helper process does.
pub fn helper_process() {
    let Ok(what) = env::var(HELPER) else {
        return;
    };
    let address: SocketAddr = env::var(ADDRESS)
        .expect("set by the test")
        .parse()
        .expect("an address");
    match what.as_str() {
        "server" => serve(address),
        "client" => {
            let bytes = env::var(BYTES).expect("set by the test");
            let exchanged = exchange(address, bytes.parse().expect("a number"));
            println!("\nsent {}", hex(&exchanged.sent_sha256));
            println!("received {}", hex(&exchanged.received_sha256));
        }
        other => panic!("no helper is called {other}"),
    }
}

fn serve(address: SocketAddr) {
    let listener = TcpListener::bind(address).expect("the address is here");
    println!("\naddress {}", listener.local_addr().expect("bound"));
    loop {
        let (mut stream, _) = listener.accept().expect("it listens");
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                for byte in &mut buffer[..bytes] {
                    *byte = !*byte;
                }
                if stream.write_all(&buffer[..bytes]).is_err() {
                    return;
                }
            }
        });
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> [u8; 32] {
    let digit = |index: usize| u8::from_str_radix(&text[2 * index..2 * index + 2], 16);
    std::array::from_fn(|index| digit(index).expect("hexadecimal"))
}
