// Package tags determines which files of a project an interpreter can install, and
// which of them it prefers. It reads the names of wheels and source archives
// ("Binary distribution format", PEP 427 and 425) and lists the tags of a
// Target as packaging.tags does for a machine of that kind: CPython with its
// stable ABI, free-threaded CPython with its own (PEP 803), PyPy; manylinux with the names
// from before PEP 600, musllinux, macOS with its universal formats, Windows.
//
// A target's platform is the newest that its machines have:
// manylinux_2_28_x86_64 is a machine with glibc 2.28, which takes every older
// manylinux wheel as well. pip's option --platform means that one name alone.
package tags
