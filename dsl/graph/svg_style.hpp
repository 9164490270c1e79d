#pragma once

namespace backstitch::dsl::graph {

/// The style sheet of the SVG, light and dark. Every rule is bound to the class of the picture, so
/// that a page that takes the SVG in keeps its own looks. What a kind is, its words and outline say
/// too: colour is never alone.
inline constexpr const char* svg_style = R"(
.saga-graph {
  font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-size: 11px; }
.saga-graph text { fill: #1e293b; }
.saga-graph .paper { fill: #ffffff; }
.saga-graph .heading { font-size: 20px; font-weight: 600; }
.saga-graph .name { font-size: 14px; font-weight: 600; }
.saga-graph .code {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 11px; }
.saga-graph .quiet { fill: #57657a; }
.saga-graph .end { text-anchor: end; }
.saga-graph .middle { text-anchor: middle; }
.saga-graph .card { fill: #f8fafc; stroke: #64748b; stroke-width: 1.2; }
.saga-graph .compensatable .card { fill: #eff6ff; stroke: #2563eb; }
.saga-graph .pivot .card { fill: #fef3c7; stroke: #b45309; stroke-width: 3.5; }
.saga-graph .pivot .quiet { fill: #92400e; font-weight: 600; }
.saga-graph .retryable .card { fill: #ecfdf5; stroke: #059669; }
.saga-graph .wait .card, .saga-graph .sleep .card { fill: #f5f3ff; stroke: #7c3aed; }
.saga-graph .fail .card,
.saga-graph .failed .card {
  fill: #fef2f2; stroke: #dc2626; stroke-width: 1.8; }
.saga-graph .completed .card { fill: #ecfdf5; stroke: #059669; stroke-width: 1.8; }
.saga-graph .undo { fill: #fff7ed; stroke: #c2410c; stroke-width: 1.2; stroke-dasharray: 4 3; }
.saga-graph .block { fill: #64748b; fill-opacity: .05; stroke: #94a3b8; stroke-width: 1.2; }
.saga-graph .sheet { fill: none; stroke: #94a3b8; stroke-width: 1.2; }
.saga-graph .bar { fill: #64748b; fill-opacity: .17; }
.saga-graph .divider { fill: none; stroke: #94a3b8; stroke-dasharray: 2 4; }
.saga-graph .handler { fill: none; stroke: #94a3b8; stroke-width: 1.2; stroke-dasharray: 8 4; }
.saga-graph .flow { fill: none; stroke: #475569; stroke-width: 1.6; }
.saga-graph .flow-head { fill: #475569; }
.saga-graph .back { fill: none; stroke: #c2410c; stroke-width: 1.6; stroke-dasharray: 6 4; }
.saga-graph .back-head { fill: #c2410c; }
.saga-graph .caught {
  fill: none; stroke: #dc2626; stroke-width: 1.6; stroke-dasharray: 1.5 3.5;
  stroke-linecap: round; }
.saga-graph .caught-head { fill: #dc2626; }
.saga-graph .tie { fill: none; stroke: #c2410c; stroke-width: 1; stroke-dasharray: 1.5 3; }
.saga-graph .back-text { fill: #c2410c; }
.saga-graph .no-return { fill: none; stroke: #b45309; stroke-width: 1.6; }
.saga-graph .no-return-text { fill: #92400e; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.saga-graph text { fill: #e2e8f0; }
.saga-graph .paper { fill: #0f172a; }
.saga-graph .quiet { fill: #94a3b8; }
.saga-graph .card { fill: #1e293b; stroke: #94a3b8; }
.saga-graph .compensatable .card { fill: #172554; stroke: #60a5fa; }
.saga-graph .pivot .card { fill: #451a03; stroke: #f59e0b; }
.saga-graph .pivot .quiet { fill: #fcd34d; }
.saga-graph .retryable .card { fill: #022c22; stroke: #34d399; }
.saga-graph .wait .card, .saga-graph .sleep .card { fill: #2e1065; stroke: #a78bfa; }
.saga-graph .fail .card, .saga-graph .failed .card { fill: #450a0a; stroke: #f87171; }
.saga-graph .completed .card { fill: #022c22; stroke: #34d399; }
.saga-graph .undo { fill: #431407; stroke: #fb923c; }
.saga-graph .block { fill: #94a3b8; stroke: #64748b; }
.saga-graph .bar { fill: #94a3b8; }
.saga-graph .divider, .saga-graph .handler, .saga-graph .sheet { stroke: #64748b; }
.saga-graph .flow { stroke: #cbd5e1; }
.saga-graph .flow-head { fill: #cbd5e1; }
.saga-graph .back, .saga-graph .tie { stroke: #fb923c; }
.saga-graph .back-head, .saga-graph .back-text { fill: #fb923c; }
.saga-graph .caught { stroke: #f87171; }
.saga-graph .caught-head { fill: #f87171; }
.saga-graph .no-return { stroke: #f59e0b; }
.saga-graph .no-return-text { fill: #fcd34d; }
}
)";

}  // namespace backstitch::dsl::graph
