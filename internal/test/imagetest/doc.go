// Package imagetest has images made from real files, and drives the real
// programs that pull them, for tests of what a mirror has below /v2/.
//
// It is for tests only. The programs get the settings that an operator would
// make, apart from flags for plain http on loopback.
package imagetest
