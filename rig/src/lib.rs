//! The bench around the band.
