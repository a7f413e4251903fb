//! The kernel programs: loading, attaching, and the maps that the agent shares with them.

use std::{fs::File, io, net::IpAddr, time::Duration};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, LpmTrie, MapData, MapError, PerCpuArray, RingBuf, lpm_trie::Key},
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError, SockOps,
        cgroup_skb::CgroupSkbLinkId, sock_ops::SockOpsLinkId,
    },
};
use aya_log::EbpfLogger;
use ipnet::IpNet;
use log::Log;
use thiserror::Error;
use twintap_abi::{
    CloseRecord, Config, Endpoint, FILTER_CGROUPS, FILTER_PORTS, FILTER_PREFIXES, FlowKey, Ledger,
    MAX_RINGS, Order, Role,
};

use crate::ledger::monotonic_ns;

/// The kernel programs as they were built; empty when this build carries none.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/twintap-agent-ebpf"));

/// Why the kernel programs could not be used.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The build carries no kernel programs.
    #[error(
        "this build carries no kernel programs: run `cargo xtask build-ebpf`, then build again"
    )]
    NoObject,
    /// The object could not be loaded.
    #[error("cannot load the kernel programs: {0}")]
    Load(#[from] EbpfError),
    /// The log of the programs cannot be read.
    #[error("cannot read the log of the kernel programs: {0}")]
    Log(#[from] aya_log::Error),
    /// The object lacks a map or a program.
    #[error("the kernel programs have no {0}: they come from another version")]
    Missing(&'static str),
    /// A map could not be read or written.
    #[error("cannot use the map {name}: {source}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What went wrong.
        source: MapError,
    },
    /// The kernel refused a program.
    #[error("the kernel refused the program {name}: {source}")]
    Program {
        /// Its name.
        name: &'static str,
        /// What went wrong.
        source: ProgramError,
    },
    /// The settings do not fit.
    #[error("{0}")]
    Settings(String),
}

/// Sizes that are fixed when the programs are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many rings: a power of two, at most [`MAX_RINGS`].
    pub rings: usize,
    /// The size of each ring in bytes: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
    /// How many flows the kernel follows at a time.
    pub max_flows: u32,
    /// The programs capture nothing when [`Heartbeat::beat`] was not called for so long.
    pub heartbeat_limit: Duration,
}

/// Why nothing is captured for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The daemon said so.
    Ordered = 1,
    /// The CPU budget is used up.
    CpuBudget = 2,
}

/// What is captured. Everything in it can change while the programs run.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Roles of sockets that are captured; empty captures nothing.
    pub roles: Vec<Role>,
    /// Server ports; empty for all.
    pub ports: Vec<u16>,
    /// Prefixes of peers; empty for all.
    pub prefixes: Vec<IpNet>,
    /// Ids of cgroups; empty for all that the programs are attached to.
    pub cgroups: Vec<u64>,
    /// Endpoints that are never captured.
    pub excluded: Vec<(IpAddr, u16)>,
    /// A cgroup that is never captured, by its id.
    pub excluded_cgroup: Option<u64>,
}

/// The loaded programs. Dropping them detaches them: nothing is pinned.
pub struct Probes {
    ebpf: Ebpf,
    config: Array<MapData, Config>,
    current: Config,
    skb_links: Vec<(&'static str, CgroupSkbLinkId)>,
    socket_links: Vec<SockOpsLinkId>,
    rings: usize,
}

const SKB_PROGRAMS: [(&str, CgroupSkbAttachType); 2] = [
    ("twintap_ingress", CgroupSkbAttachType::Ingress),
    ("twintap_egress", CgroupSkbAttachType::Egress),
];
const SOCKET_PROGRAM: &str = "twintap_sockets";
const RING_NAMES: [&str; MAX_RINGS] = [
    "RING_0", "RING_1", "RING_2", "RING_3", "RING_4", "RING_5", "RING_6", "RING_7",
];

impl Probes {
    /// Loads the programs of `object` into the kernel. They capture nothing until
    /// [`Self::set_filters`] and [`Self::attach`] were called.
    ///
    /// # Errors
    ///
    /// When there is no object, or the kernel refuses it.
    pub fn load(object: &[u8], settings: &Settings) -> Result<Self, ProbeError> {
        if object.is_empty() {
            return Err(ProbeError::NoObject);
        }
        if !settings.rings.is_power_of_two() || settings.rings > MAX_RINGS {
            return Err(ProbeError::Settings(format!(
                "rings is {}; it has to be a power of two and at most {MAX_RINGS}",
                settings.rings
            )));
        }
        if !settings.ring_bytes.is_power_of_two() || settings.ring_bytes < 4096 {
            return Err(ProbeError::Settings(format!(
                "ring-bytes is {}; it has to be a power of two and at least 4096",
                settings.ring_bytes
            )));
        }
        let mut loader = EbpfLoader::new();
        // Only statistics: a refused program is loaded once more with more of a log by people.
        loader.verifier_log_level(VerifierLogLevel::STATS);
        for name in &RING_NAMES[..settings.rings] {
            loader.map_max_entries(name, settings.ring_bytes);
        }
        for name in ["FLOWS", "ROLES", "ORDERS"] {
            loader.map_max_entries(name, settings.max_flows);
        }
        let mut ebpf = loader.load(object)?;
        for (name, _) in SKB_PROGRAMS {
            skb_program(&mut ebpf, name)?
                .load()
                .map_err(|source| ProbeError::Program { name, source })?;
        }
        socket_program(&mut ebpf)?
            .load()
            .map_err(|source| ProbeError::Program {
                name: SOCKET_PROGRAM,
                source,
            })?;
        let config = take(&mut ebpf, "CONFIG")?;
        Ok(Self {
            ebpf,
            config,
            current: Config {
                ring_mask: (settings.rings - 1) as u32,
                wake_bytes: (settings.ring_bytes / 8).max(4096),
                heartbeat_limit_ns: u64::try_from(settings.heartbeat_limit.as_nanos())
                    .unwrap_or(u64::MAX),
                ..Config::default()
            },
            skb_links: Vec::new(),
            socket_links: Vec::new(),
            rings: settings.rings,
        })
    }

    /// Attaches the programs to a cgroup and all below it, by links that end with this process.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn attach(&mut self, cgroup: &File) -> Result<(), ProbeError> {
        // Roles first, so that no connection is seen without its begin.
        let link = socket_program(&mut self.ebpf)?
            .attach(cgroup, CgroupAttachMode::Single)
            .map_err(|source| ProbeError::Program {
                name: SOCKET_PROGRAM,
                source,
            })?;
        self.socket_links.push(link);
        for (name, attach_type) in SKB_PROGRAMS {
            let link = skb_program(&mut self.ebpf, name)?
                .attach(cgroup, attach_type, CgroupAttachMode::Single)
                .map_err(|source| ProbeError::Program { name, source })?;
            self.skb_links.push((name, link));
        }
        Ok(())
    }

    /// Detaches the programs; what is in the rings stays there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn detach(&mut self) -> Result<(), ProbeError> {
        for (name, link) in self.skb_links.drain(..) {
            skb_program(&mut self.ebpf, name)?
                .detach(link)
                .map_err(|source| ProbeError::Program { name, source })?;
        }
        for link in self.socket_links.drain(..) {
            socket_program(&mut self.ebpf)?
                .detach(link)
                .map_err(|source| ProbeError::Program {
                    name: SOCKET_PROGRAM,
                    source,
                })?;
        }
        Ok(())
    }

    /// Changes what is captured. Flows that are under way are decided anew.
    ///
    /// # Errors
    ///
    /// When a map takes no more entries.
    pub fn set_filters(&mut self, filters: &Filters) -> Result<(), ProbeError> {
        self.replace("PORTS", &filters.ports)?;
        self.replace("CGROUPS", &filters.cgroups)?;
        let excluded: Vec<Endpoint> = filters
            .excluded
            .iter()
            .map(|&(address, port)| endpoint(address, port))
            .collect();
        self.replace("EXCLUDED", &excluded)?;
        self.replace_prefixes(&filters.prefixes)?;

        let mut flags = 0;
        for (set, flag) in [
            (!filters.ports.is_empty(), FILTER_PORTS),
            (!filters.cgroups.is_empty(), FILTER_CGROUPS),
            (!filters.prefixes.is_empty(), FILTER_PREFIXES),
        ] {
            if set {
                flags |= flag;
            }
        }
        self.current.filters = flags;
        self.current.roles = filters
            .roles
            .iter()
            .fold(0, |bits, &role| bits | role as u32);
        self.current.excluded_cgroup = filters.excluded_cgroup.unwrap_or(0);
        self.current.generation = self.current.generation.wrapping_add(1).max(1);
        self.write_config()
    }

    /// Tells the kernel the roles of sockets that live already.
    ///
    /// # Errors
    ///
    /// When the map takes no more entries.
    pub fn seed_roles(&mut self, roles: &[(FlowKey, Role)]) -> Result<(), ProbeError> {
        const NAME: &str = "ROLES";
        let mut map: HashMap<_, FlowKey, u8> = map_mut(&mut self.ebpf, NAME)?;
        for (key, role) in roles {
            map.insert(key, *role as u8, 0)
                .map_err(|source| ProbeError::Map { name: NAME, source })?;
        }
        Ok(())
    }

    /// Gives an order for a flow, in place of one before; `None` captures all of it again.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn order(&mut self, flow: u64, order: Option<Order>) -> Result<(), ProbeError> {
        const NAME: &str = "ORDERS";
        let mut map: HashMap<_, u64, u8> = map_mut(&mut self.ebpf, NAME)?;
        if let Some(order) = order {
            map.insert(flow, order as u8, 0)
                .map_err(|source| ProbeError::Map { name: NAME, source })?;
        } else {
            match map.remove(&flow) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                // The flow ended meanwhile.
                Err(MapError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ProbeError::Map { name: NAME, source }),
            }
        }
        let ordered = u32::from(map.keys().next().is_some());
        if self.current.ordered_flows == ordered {
            return Ok(());
        }
        self.current.ordered_flows = ordered;
        self.write_config()
    }

    /// Captures nothing while there is a reason; ends of flows are told all the same. Flows that
    /// live through a pause go on with a gap.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn set_paused(&mut self, reason: PauseReason, paused: bool) -> Result<(), ProbeError> {
        if paused {
            self.current.paused |= reason as u32;
        } else {
            self.current.paused &= !(reason as u32);
        }
        self.write_config()
    }

    /// Sheds the clients of so many of [`twintap_abi::ALL_SHARES`] shares, each as a whole.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn set_shed_shares(&mut self, shares: u32) -> Result<(), ProbeError> {
        self.current.shed_shares = shares;
        self.write_config()
    }

    /// How long the programs have run since they were loaded, on all processors; zero where the
    /// machine keeps no statistics of programs (`kernel.bpf_stats_enabled`).
    pub fn cpu(&self) -> Duration {
        self.ebpf
            .programs()
            .filter_map(|(_, program)| program.info().ok())
            .map(|info| info.run_time())
            .sum()
    }

    /// Takes the sign of life, without which the programs capture nothing.
    ///
    /// # Errors
    ///
    /// When it was taken before.
    pub fn take_heartbeat(&mut self) -> Result<Heartbeat, ProbeError> {
        Ok(Heartbeat(take(&mut self.ebpf, Heartbeat::NAME)?))
    }

    /// Takes the rings; they are drained by one reader.
    ///
    /// # Errors
    ///
    /// When they were taken before.
    pub fn take_rings(&mut self) -> Result<Vec<RingBuf<MapData>>, ProbeError> {
        RING_NAMES[..self.rings]
            .iter()
            .map(|name| take(&mut self.ebpf, name))
            .collect()
    }

    /// Takes the table of close records that found no room in a ring.
    ///
    /// # Errors
    ///
    /// When it was taken before.
    pub fn take_late_closes(&mut self) -> Result<LateCloses, ProbeError> {
        Ok(LateCloses(take(&mut self.ebpf, "LATE_CLOSES")?))
    }

    /// Takes the kernel's ledger.
    ///
    /// # Errors
    ///
    /// When it was taken before.
    pub fn take_ledger(&mut self) -> Result<KernelLedger, ProbeError> {
        Ok(KernelLedger(take(&mut self.ebpf, "LEDGER")?))
    }

    /// Takes the log of the kernel programs; whoever has it writes it by `tracing`.
    ///
    /// # Errors
    ///
    /// When it was taken before.
    pub fn take_log(&mut self) -> Result<EbpfLogger<&'static dyn Log>, ProbeError> {
        Ok(EbpfLogger::init(&mut self.ebpf)?)
    }

    fn write_config(&mut self) -> Result<(), ProbeError> {
        self.config
            .set(0, self.current, 0)
            .map_err(|source| ProbeError::Map {
                name: "CONFIG",
                source,
            })
    }

    /// Makes the keys of the set `name` those of `wanted`.
    fn replace<K: aya::Pod + PartialEq>(
        &mut self,
        name: &'static str,
        wanted: &[K],
    ) -> Result<(), ProbeError> {
        let failed = |source| ProbeError::Map { name, source };
        let mut map: HashMap<_, K, u8> = map_mut(&mut self.ebpf, name)?;
        for key in wanted {
            map.insert(key, 1, 0).map_err(failed)?;
        }
        let present = map.keys().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for key in present.iter().filter(|key| !wanted.contains(key)) {
            map.remove(key).map_err(failed)?;
        }
        Ok(())
    }

    fn replace_prefixes(&mut self, prefixes: &[IpNet]) -> Result<(), ProbeError> {
        const NAME: &str = "PREFIXES";
        let failed = |source| ProbeError::Map { name: NAME, source };
        let map = self.ebpf.map_mut(NAME).ok_or(ProbeError::Missing(NAME))?;
        let mut map: LpmTrie<_, [u8; 16], u8> = LpmTrie::try_from(map).map_err(failed)?;
        let wanted: Vec<(u32, [u8; 16])> = prefixes.iter().map(prefix).collect();
        for (bits, address) in &wanted {
            map.insert(&Key::new(*bits, *address), 1, 0)
                .map_err(failed)?;
        }
        let present = map.keys().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for key in present {
            if !wanted.contains(&(key.prefix_len(), key.data())) {
                map.remove(&key).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The kernel's side of the ledger.
pub struct KernelLedger(PerCpuArray<MapData, Ledger>);

impl KernelLedger {
    /// The counts of all CPUs together.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn read(&self) -> Result<Ledger, ProbeError> {
        let values = self.0.get(&0, 0).map_err(|source| ProbeError::Map {
            name: "LEDGER",
            source,
        })?;
        let mut total = Ledger::default();
        for value in values.iter() {
            total.add(value);
        }
        Ok(total)
    }
}

/// Tells the programs that somebody drains what they capture.
pub struct Heartbeat(Array<MapData, u64>);

impl Heartbeat {
    const NAME: &str = "HEARTBEAT";

    /// Says so for the time until [`Settings::heartbeat_limit`] is over.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn beat(&mut self) -> Result<(), ProbeError> {
        self.0
            .set(0, monotonic_ns(), 0)
            .map_err(|source| ProbeError::Map {
                name: Self::NAME,
                source,
            })
    }
}

/// Close records that found no room in a ring.
pub struct LateCloses(HashMap<MapData, u64, CloseRecord>);

impl LateCloses {
    /// Takes all that are there.
    pub fn take(&mut self) -> Vec<CloseRecord> {
        let flows: Vec<u64> = self.0.keys().flatten().collect();
        flows
            .iter()
            .filter_map(|flow| {
                let record = self.0.get(flow, 0).ok()?;
                self.0.remove(flow).ok()?;
                Some(record)
            })
            .collect()
    }
}

/// An address as 16 bytes, IPv4 as IPv4-mapped IPv6.
pub fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn endpoint(address: IpAddr, port: u16) -> Endpoint {
    Endpoint {
        address: if address.is_unspecified() {
            [0; 16]
        } else {
            mapped(address)
        },
        port,
        reserved: 0,
    }
}

fn prefix(prefix: &IpNet) -> (u32, [u8; 16]) {
    let bits = u32::from(prefix.prefix_len());
    match prefix {
        IpNet::V4(_) => (bits + 96, mapped(prefix.network())),
        IpNet::V6(_) => (bits, mapped(prefix.network())),
    }
}

fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, ProbeError>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(ProbeError::Missing(name))?;
    M::try_from(map).map_err(|source| ProbeError::Map { name, source })
}

fn map_mut<'a, K: aya::Pod, V: aya::Pod>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<HashMap<&'a mut MapData, K, V>, ProbeError> {
    let map = ebpf.map_mut(name).ok_or(ProbeError::Missing(name))?;
    HashMap::try_from(map).map_err(|source| ProbeError::Map { name, source })
}

fn skb_program<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut CgroupSkb, ProbeError> {
    ebpf.program_mut(name)
        .ok_or(ProbeError::Missing(name))?
        .try_into()
        .map_err(|source| ProbeError::Program { name, source })
}

fn socket_program(ebpf: &mut Ebpf) -> Result<&mut SockOps, ProbeError> {
    ebpf.program_mut(SOCKET_PROGRAM)
        .ok_or(ProbeError::Missing(SOCKET_PROGRAM))?
        .try_into()
        .map_err(|source| ProbeError::Program {
            name: SOCKET_PROGRAM,
            source,
        })
}
