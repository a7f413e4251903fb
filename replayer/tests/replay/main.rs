//! Firing, and whole runs, at twins that are plain threads in this process.

mod chat;
mod control;
mod correlation;
mod endless;
mod events;
mod exact;
mod failing;
mod fire;
mod follow;
mod grpc;
mod hostile;
mod load;
mod open;
mod paced;
mod plan;
mod recording;
mod resources;
mod run;
mod script;
mod services;
mod squeezed;
mod steer;
mod streams;
mod tls;
mod twins;
mod websocket;
