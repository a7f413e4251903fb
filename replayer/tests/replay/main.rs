//! Firing, and whole runs, at twins that are plain threads in this process.

mod failing;
mod fire;
mod follow;
mod load;
mod plan;
mod recording;
mod run;
mod script;
mod steer;
mod twins;
