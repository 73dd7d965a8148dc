//! Rehearsal: plays every reference solution against the lab and says whether the marking is right.

pub mod player;
