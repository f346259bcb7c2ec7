// Package stock holds the files of a repository on their way from indexes to
// artifacts. There is one File for each package of an archive, so it holds no more
// than it must: 130 bytes and the path.
//
// A kind adds files in any order, as its indexes name them. Settle sorts them,
// takes one of those that are named twice, and refuses a path with two contents,
// because then upstream contradicts itself. Artifacts turns them into artifacts
// one at a time, as often as it is asked.
//
// Sizes, bounds and what two repositories share are not looked at here: every
// artifact of every kind passes collect.Survey.
package stock
