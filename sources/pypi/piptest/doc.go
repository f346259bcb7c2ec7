// Package piptest has what tests of Python packages share: projects written as
// wheels and source archives, a server that is an index, and the real programs
// pip, uv, poetry and pdm as oracles.
//
// The programs are in virtual environments of their own, which .ci/clients
// makes. A program that is not there fails the test.
package piptest
