//! Findings and range tests as SVG. No font is looked for: the viewer sets the text.

use std::fmt::Display;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BLUE, Cartesian2d, ChartBuilder, ChartContext, Circle, Color, DrawingArea, IntoDrawingArea,
    PathElement, RED, RGBColor, SVGBackend, ShapeStyle, WHITE,
};

use super::table::deviation;
use crate::value::short;
use crate::{Domain, Findings, RangeCurve, Tried, TuneError, Value};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 320;
const GREY: RGBColor = RGBColor(150, 150, 150);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Findings {
    /// A drawing with one panel for each parameter: its values to the right (on a log scale if it
    /// is log-uniform), the scores upwards, the standard deviation of folds as a line through the
    /// point, the best trial red. With rungs a panel before them shows the score of each trial over
    /// the resource. Trials without a finite score are left out.
    ///
    /// # Errors
    /// [`TuneError::Drawing`] if the library refuses.
    ///
    /// ```
    /// # use pleach_tune::{Options, Space, TuneError, grid};
    /// # let space = Space::new().uniform("x", 0.0, 1.0);
    /// # let found = grid(&space, &[("x", 3)], &Options::default(), |trial| trial.float("x"))?;
    /// let svg = found.svg()?; // std::fs::write("found.svg", svg)
    /// assert!(svg.starts_with("<svg") && svg.matches("<circle").count() == 3);
    /// # Ok::<(), TuneError>(())
    /// ```
    pub fn svg(&self) -> Result<String, TuneError> {
        let shown: Vec<(&Tried, f64)> = self.trials.iter().filter_map(finite).collect();
        let has_rungs = shown.iter().any(|(tried, _)| !tried.rungs.is_empty());
        let axes = self.space.axes();
        drawing(axes.len() + usize::from(has_rungs), |panels| {
            let (rungs, panels) = panels.split_at(usize::from(has_rungs));
            for panel in rungs {
                self.draw_rungs(panel, &shown)?;
            }
            let bars = shown.iter().flat_map(|(tried, score)| {
                let deviation = deviation(tried).filter(|d| d.is_finite()).unwrap_or(0.0);
                [score - deviation, score + deviation]
            });
            let height = around(bars);
            for (panel, (name, domain)) in panels.iter().zip(axes) {
                let (width, label) = scale(domain);
                let mut chart = chart(panel, name, "score", width, height.clone(), label)?;
                let place = |tried: &Tried| place(domain, tried.trial.point.get(name));
                let points =
                    shown.iter().filter_map(|(tried, s)| Some((place(tried)?, *s, *tried)));
                for (i, (x, score, tried)) in points.enumerate() {
                    let color = if i == 0 { RED } else { BLUE };
                    if let Some(d) = deviation(tried).filter(|d| d.is_finite()) {
                        line(&mut chart, &[(x, score - d), (x, score + d)], GREY)?;
                    }
                    dot(&mut chart, (x, score), color)?;
                }
            }
            Ok(())
        })
    }

    fn draw_rungs(&self, panel: &Area, shown: &[(&Tried, f64)]) -> Result<(), TuneError> {
        let curve = |tried: &Tried| -> Vec<(f64, f64)> {
            let reached = tried.rungs.iter();
            let pair = |r: &crate::Reached| Some((r.resource as f64, r.outcome.number()?));
            reached.filter_map(pair).filter(|(_, score)| score.is_finite()).collect()
        };
        let curves: Vec<Vec<(f64, f64)>> = shown.iter().map(|(tried, _)| curve(tried)).collect();
        let width = around(curves.iter().flatten().map(|(x, _)| *x));
        let height = around(curves.iter().flatten().map(|(_, y)| *y));
        let mut chart = chart(panel, "resource", "score", width, height, Box::new(short))?;
        for (i, curve) in curves.iter().enumerate().rev() {
            let color = if i == 0 { RED } else { GREY };
            line(&mut chart, curve, color)?;
            curve.iter().try_for_each(|&point| dot(&mut chart, point, color))?;
        }
        Ok(())
    }
}

impl RangeCurve {
    /// A drawing of the losses over the rate, on a log scale: points as they were, a line as they
    /// were smoothed, the suggestion red. Losses above those of before the least are cut off.
    ///
    /// # Errors
    /// [`TuneError::Drawing`] if the library refuses.
    pub fn svg(&self) -> Result<String, TuneError> {
        let smooth: Vec<(f64, f64)> =
            self.points.iter().filter_map(|p| Some((p.rate.log10(), p.smooth?.loss))).collect();
        let least = smooth.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(f64::INFINITY, |p| p.0);
        let raw = || self.points.iter().map(|p| (p.rate.log10(), p.loss));
        let height = around(raw().filter(|(rate, _)| *rate <= least).map(|(_, loss)| loss));
        let width = around(raw().map(|(rate, _)| rate));
        drawing(1, |panels| {
            let Some(panel) = panels.first() else { return Ok(()) };
            let label = Box::new(|log: f64| short(10f64.powf(log)));
            let mut chart = chart(panel, "rate", "loss", width, height.clone(), label)?;
            let inside = |(_, loss): &(f64, f64)| height.contains(loss);
            raw().filter(inside).try_for_each(|point| dot(&mut chart, point, GREY))?;
            let smooth: Vec<(f64, f64)> = smooth.into_iter().take_while(inside).collect();
            line(&mut chart, &smooth, BLUE)?;
            if let Some(rate) = self.suggestion.map(f64::log10) {
                line(&mut chart, &[(rate, height.start), (rate, height.end)], RED)?;
            }
            Ok(())
        })
    }
}

/// What is drawn of a trial: one with a finite score.
fn finite(tried: &Tried) -> Option<(&Tried, f64)> {
    tried.outcome.number().filter(|score| score.is_finite()).map(|score| (tried, score))
}

type Label = Box<dyn Fn(f64) -> String>;

/// The axis of a domain: its ends, and how a place on it is written.
fn scale(domain: &Domain) -> (Range<f64>, Label) {
    match domain.clone() {
        Domain::Uniform(low, high) => (around([low, high]), Box::new(short)),
        Domain::LogUniform(low, high) => {
            (around([low.log10(), high.log10()]), Box::new(|log| short(10f64.powf(log))))
        }
        Domain::Integer(low, high) => (around([low as f64, high as f64]), Box::new(short)),
        Domain::Choice(values) => {
            let write = move |at: f64| {
                let near = (at - at.round()).abs() < 0.01 && at >= -0.01;
                let value = near.then(|| values.get(at.round() as usize)).flatten();
                value.map_or(String::new(), ToString::to_string)
            };
            let Domain::Choice(values) = domain else { return (0.0..1.0, Box::new(short)) };
            (around([0.0, values.len() as f64 - 1.0]), Box::new(write))
        }
    }
}

/// Where a value stands on the axis of its domain.
fn place(domain: &Domain, value: Option<&Value>) -> Option<f64> {
    match (domain, value?) {
        (Domain::LogUniform(..), Value::Float(value)) => Some(value.log10()),
        (Domain::Uniform(..), Value::Float(value)) => Some(*value),
        (Domain::Integer(..), Value::Int(value)) => Some(*value as f64),
        (Domain::Choice(values), value) => {
            values.iter().position(|other| other == value).map(|at| at as f64)
        }
        _ => None,
    }
}

/// From the least to the largest of the finite values, and a little more.
fn around(values: impl IntoIterator<Item = f64>) -> Range<f64> {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    match high - low {
        gap if gap > 0.0 && gap.is_finite() => low - 0.05 * gap..high + 0.05 * gap,
        0.0 => low - low.abs().max(1.0) * 0.5..high + high.abs().max(1.0) * 0.5,
        _ => 0.0..1.0,
    }
}

fn drawing(
    panels: usize,
    draw: impl FnOnce(&[Area]) -> Result<(), TuneError>,
) -> Result<String, TuneError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT * panels as u32));
        let area = area.into_drawing_area();
        area.fill(&WHITE).map_err(refused)?;
        draw(&area.split_evenly((panels, 1)))?;
        area.present().map_err(refused)?;
    }
    Ok(text)
}

fn chart<'a, 'b>(
    panel: &'a Area<'b>,
    x: &str,
    y: &str,
    width: Range<f64>,
    height: Range<f64>,
    label: Label,
) -> Result<Chart<'a, 'b>, TuneError> {
    let mut builder = ChartBuilder::on(panel);
    builder.margin(12).x_label_area_size(40).y_label_area_size(70);
    let mut chart = builder.build_cartesian_2d(width, height).map_err(refused)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc(y).x_labels(9).max_light_lines(1).light_line_style(WHITE);
    mesh.label_style(("sans-serif", 15)).axis_desc_style(("sans-serif", 17));
    let (label, plain) = (|at: &f64| label(*at), |at: &f64| short(*at));
    mesh.x_label_formatter(&label).y_label_formatter(&plain);
    mesh.draw().map_err(refused)?;
    Ok(chart)
}

fn dot(chart: &mut Chart, at: (f64, f64), color: RGBColor) -> Result<(), TuneError> {
    let circle = Circle::new(at, 3, ShapeStyle::from(&color.mix(0.8)).filled());
    chart.draw_series([circle]).map(|_| ()).map_err(refused)
}

fn line(chart: &mut Chart, points: &[(f64, f64)], color: RGBColor) -> Result<(), TuneError> {
    if points.len() < 2 {
        return Ok(());
    }
    let path = PathElement::new(points.to_vec(), ShapeStyle::from(&color).stroke_width(2));
    chart.draw_series([path]).map(|_| ()).map_err(refused)
}

fn refused(error: impl Display) -> TuneError {
    TuneError::Drawing(error.to_string())
}
