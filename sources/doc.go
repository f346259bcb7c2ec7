// Package sources is the connected side's view of upstream: what a kind of
// source is, what it plans, and how a set of them becomes one list of
// artifacts that can be collected.
//
// All decisions about content are made here, so that the disconnected side
// needs none: a source authenticates upstream's metadata, decides the final
// path of every file of the mirror and states how each file is vouched for. It
// downloads no payload. Collect does that, and compares it with the plan.
//
// Each kind is in one folder and never imports another; package sources/all
// lists them. docs/adding-a-source.md is the recipe for a new one.
package sources
