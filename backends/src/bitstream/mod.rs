//! What is in an encoded picture, read from its bytes: the check on what encoders say, and the
//! answer where a driver says nothing.

pub mod annexb;
