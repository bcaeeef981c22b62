//! Where a node comes from: lines of the user's code, and the layer that ran there.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use smallvec::SmallVec;

use crate::{Graph, NodeId, Operator};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin(SmallVec<[Site; 1]>);

impl Origin {
    /// The places.
    pub fn sites(&self) -> &[Site] {
        &self.0
    }

    /// The first place.
    pub fn first(&self) -> Option<&Site> {
        self.0.first()
    }

    /// Would [`Origin::merge`] add nothing?
    fn has(&self, other: &Origin) -> bool {
        self.0.len() >= MAX_SITES || other.0.iter().all(|site| self.0.contains(site))
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

/// An origin among the [`Origins`] of its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginId(u32);

impl OriginId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The origins of the nodes of a graph, each kept once: one line of the user's code records many
/// nodes, and the nodes of their gradients come from there too.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    all: Vec<Origin>,
    by_hash: HashTable<u32>,
}

impl Origins {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: OriginId) -> &Origin {
        &self.all[id.index()]
    }

    /// The id of this origin.
    pub(crate) fn id(&mut self, origin: Origin) -> OriginId {
        let hash = |origin: &Origin| {
            let mut hasher = FxHasher::default();
            for Site { location, scope } in origin.sites() {
                (location.line(), location.column(), scope).hash(&mut hasher);
            }
            hasher.finish()
        };
        let (all, at) = (&mut self.all, hash(&origin));
        if let Some(&found) = self.by_hash.find(at, |&i| all[i as usize] == origin) {
            return OriginId(found);
        }
        let id = u32::try_from(all.len()).expect("no more origins than nodes");
        all.push(origin);
        self.by_hash.insert_unique(at, id, |&i| hash(&all[i as usize]));
        OriginId(id)
    }

    /// The places of `known`, and as long as there is room those of `other`.
    pub(crate) fn merged(&mut self, known: OriginId, other: OriginId) -> OriginId {
        if known == other || self.get(known).has(self.get(other)) {
            return known;
        }
        let mut merged = self.get(known).clone();
        merged.merge(self.get(other));
        self.id(merged)
    }
}

/// While it lives, nodes are recorded as coming from one place; see [`Graph::at`].
#[must_use = "the origin is restored when this is dropped"]
pub struct At<'g, O: Operator> {
    graph: &'g Graph<O>,
    before: (Option<OriginId>, Option<Arc<str>>),
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
        let before = (inner.origin, inner.scope.clone());
        inner.origin = Some(inner.origin_or(Location::caller()));
        drop(inner);
        At { graph: self, before }
    }

    /// As [`Graph::at`], in the scope of a layer whose path is `path`.
    #[track_caller]
    pub fn at_layer(&self, path: &str) -> At<'_, O> {
        let mut inner = self.inner.borrow_mut();
        let before = (inner.origin, inner.scope.clone());
        if !path.is_empty() {
            inner.scope = Some(path.into());
        }
        // The innermost layer names the site, at the outermost line of the user.
        let outermost = inner.origin.and_then(|at| inner.origins.get(at).first());
        let location = outermost.map_or(Location::caller(), |site| site.location);
        let site = Site::new(location, inner.scope.clone());
        inner.origin = Some(inner.origins.id(site.into()));
        drop(inner);
        At { graph: self, before }
    }

    /// Until the guard is dropped, what is recorded has this origin: gradients come from where
    /// their forward node comes from, rewritten nodes from where the original does.
    pub fn at_origin(&self, origin: Origin) -> At<'_, O> {
        let id = self.inner.borrow_mut().origins.id(origin);
        self.at_origin_id(id)
    }

    /// As [`Graph::at_origin`], with the origin of a node of this graph.
    pub(crate) fn at_same(&self, id: NodeId) -> At<'_, O> {
        let origin = {
            let inner = self.inner.borrow();
            inner.tape(id.frame()).expect("the frame is open").origins[id.index()]
        };
        self.at_origin_id(origin)
    }

    /// As [`Graph::at_origin`], with one of this graph's origins.
    pub(crate) fn at_origin_id(&self, origin: OriginId) -> At<'_, O> {
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
