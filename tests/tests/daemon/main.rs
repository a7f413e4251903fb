//! The daemon under whatever agents, disks and signals do to it.

mod faults;
mod follow;
mod full_disk;
mod orders;
mod restart;
mod ship;
mod shutdown;
