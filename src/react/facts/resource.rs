//! `%resource`: the resource that set the rule off.

use std::borrow::Cow;

use super::Fact;

pub(super) const FACT: Fact = Fact { name: "resource", kinds: &[], value: |ask| vec![Cow::Borrowed(ask.resource)] };
