// Package pep440 reads Python versions and version specifiers and compares them
// exactly as the packaging library does, which pip and uv follow.
//
// Accepted: versions by the "Version specifiers" specification (PEP 440),
// spellings that normalise included ("v1.0-alpha.1" is 1.0a1), numbers of any
// size; specifiers ~= == != <= >= < > and ===, prefixes ("==1.2.*"), sets
// separated by commas. Refused: anything longer than MaxLength, and what the
// specification has no meaning for, such as "<1.0+local" or "~=1".
//
// The published Go library for this was tried first. It parses again for every
// comparison, takes specifiers that pip refuses ("=1", ">=1<2", "||") and returns
// other answers than pip for "<V" with a pre-release of V and for "===".
package pep440
