//! marking
