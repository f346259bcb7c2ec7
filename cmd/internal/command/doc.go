// Package command is what the two programs share: the commands of the side
// inside the gap, and how every command reads its flags, prints and exits.
//
// A command turns flags into the options of the packages that do the work, and
// their results into text: it decides nothing itself. The code that prints is in
// print.go, exit codes and hints are in exit.go, the reading of a command line
// in args.go. A Program is a table of commands; cmd/gapbundle adds those of the
// connected side to its own.
//
// It reaches no package below sources: what an auditor of the inside reads is
// bundle, verify, unpack, this package, and internal/{fetch,registry,push,serve}.
package command
