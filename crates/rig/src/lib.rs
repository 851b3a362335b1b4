//! What tries the gateway: a simulated provider, a server round it, and a
//! load generator. It knows nothing of the gateway and shares no code with
//! `wire`, so that it can judge both from outside.

pub mod load;
pub mod mock;
pub mod sim;
