//! Where a node comes from: lines of the user's code, and the layer that ran there.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Graph, Operator};

/// One place in the user's code, with the path of the layer that was recording.
#[derive(Clone, PartialEq, Eq)]
pub struct Site {
    location: &'static Location<'static>,
    scope: Option<Arc<str>>,
}

impl Site {
    pub(crate) fn new(location: &'static Location<'static>, scope: Option<Arc<str>>) -> Self {
        Site { location, scope }
    }

    /// Path of the layer, `encoder.0.attn`, if a layer recorded it.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// `file:line:column`.
    pub fn place(&self) -> impl fmt::Display + '_ {
        self.location
    }

    /// The source file.
    pub fn file(&self) -> &'static str {
        self.location.file()
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.location.line()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(f, "{scope} ({})", self.location),
            None => write!(f, "{}", self.location),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Sites that a node keeps: a node that many lines produced keeps the first four.
const MAX_SITES: usize = 4;

/// The places that a node comes from, first one first. Empty for graphs read from text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Origin(SmallVec<[Site; 1]>);

impl Clone for Origin {
    /// Most have one site, and every recorded node has a copy.
    fn clone(&self) -> Self {
        match self.0.as_slice() {
            [] => Origin::default(),
            [site] => site.clone().into(),
            sites => Origin(sites.iter().cloned().collect()),
        }
    }
}

impl Origin {
    /// The places.
    pub fn sites(&self) -> &[Site] {
        &self.0
    }

    /// The first place.
    pub fn first(&self) -> Option<&Site> {
        self.0.first()
    }

    /// Would this place be a new one?
    pub(crate) fn lacks(
        &self,
        location: &'static Location<'static>,
        scope: Option<&Arc<str>>,
    ) -> bool {
        let same = |s: &Site| {
            (std::ptr::eq(s.location, location) || s.location == location)
                && s.scope.as_ref() == scope
        };
        self.0.len() < MAX_SITES && !self.0.iter().any(same)
    }

    /// Adds the places of `other`, as long as there is room.
    pub fn merge(&mut self, other: &Origin) {
        for site in &other.0 {
            if self.0.len() < MAX_SITES && !self.0.contains(site) {
                self.0.push(site.clone());
            }
        }
    }
}

impl From<Site> for Origin {
    fn from(site: Site) -> Self {
        Origin(SmallVec::from_buf([site]))
    }
}

/// While it lives, nodes are recorded as coming from one place; see [`Graph::at`].
#[must_use = "the origin is restored when this is dropped"]
pub struct At<'g, O: Operator> {
    graph: &'g Graph<O>,
    before: (Option<Origin>, Option<Arc<str>>),
}

impl<O: Operator> fmt::Debug for At<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("At").field(&self.before).finish()
    }
}

impl<O: Operator> Drop for At<'_, O> {
    fn drop(&mut self) {
        let mut inner = self.graph.inner.borrow_mut();
        (inner.origin, inner.scope) = std::mem::take(&mut self.before);
    }
}

impl<O: Operator> Graph<O> {
    /// Until the guard is dropped, what is recorded comes from the caller's line, however deep in
    /// library code it is recorded. An outer guard wins over an inner one: the user's line over
    /// the library's.
    #[track_caller]
    pub fn at(&self) -> At<'_, O> {
        let mut inner = self.inner.borrow_mut();
        let before = (inner.origin.clone(), inner.scope.clone());
        if inner.origin.is_none() {
            let site = Site::new(Location::caller(), inner.scope.clone());
            inner.origin = Some(site.into());
        }
        drop(inner);
        At { graph: self, before }
    }

    /// As [`Graph::at`], in the scope of a layer whose path is `path`.
    #[track_caller]
    pub fn at_layer(&self, path: &str) -> At<'_, O> {
        let mut inner = self.inner.borrow_mut();
        let before = (inner.origin.clone(), inner.scope.clone());
        if !path.is_empty() {
            inner.scope = Some(path.into());
        }
        // The innermost layer names the site, at the outermost line of the user.
        let location = match inner.origin.as_ref().and_then(Origin::first) {
            Some(site) => site.location,
            None => Location::caller(),
        };
        let site = Site::new(location, inner.scope.clone());
        inner.origin = Some(site.into());
        drop(inner);
        At { graph: self, before }
    }

    /// Until the guard is dropped, what is recorded has this origin: gradients come from where
    /// their forward node comes from, rewritten nodes from where the original does.
    pub fn at_origin(&self, origin: Origin) -> At<'_, O> {
        let mut inner = self.inner.borrow_mut();
        let before = (inner.origin.replace(origin), inner.scope.clone());
        drop(inner);
        At { graph: self, before }
    }
}

impl<O: Operator> Graph<O> {
    /// Path of the layer that is recording, if one is.
    pub fn scope(&self) -> Option<Arc<str>> {
        self.inner.borrow().scope.clone()
    }
}
