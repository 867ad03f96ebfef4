//! `%resource`: the resource that set the rule off.

use std::borrow::Cow;

use super::{Fact, Tells};

pub(super) const FACT: Fact =
    Fact { name: "resource", kinds: &[], tells: Tells::Trigger, value: |ask| vec![Cow::Borrowed(ask.resource)] };
