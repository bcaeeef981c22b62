//! Results for the eye: tables as text, drawings as SVG.

mod svg;
mod table;
