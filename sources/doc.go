// Package sources is the connected side's view of upstream: what a kind of
// source is, what it plans, and how a set of them becomes one list of
// artifacts that can be collected.
//
// A source thinks so that the disconnected side need not: it authenticates
// upstream's metadata, decides the final path of every file of the mirror and
// states how each file is vouched for. It moves no payload: Collect does, and
// only Collect decides whether what came is what was promised.
//
// Kinds live in one folder each and never know each other; package
// sources/all lists them. docs/adding-a-source.md is the recipe for a new one.
package sources
