// Package upstream reads the files of one repository of an upstream: an index,
// a signature next to it, and whatever an index lists. Every kind that reads
// repositories over HTTP does it through here, so that these questions have one
// answer:
//
//   - Which address? A Place has one base or several that are mirrors of one
//     another. They are tried in turn, at most MaxMirrors of them.
//   - Is a file not there? 404 and 410 mean that. 403 means it too for a file next to
//     one that was read: S3 answers 403 for a missing object when listing is not
//     allowed. The first file of a repository has nothing next to it, and 403
//     there is a refusal. Every other answer leaves open whether the file exists, so it
//     is an error: 401 is about the login, which may have run out in between, and 5xx
//     about the server. See IsAbsent, First and Optional.
//   - Did upstream move? A file that is not what its index states, or that is gone
//     although the index lists it, is a MovedError. Steady reads the whole once
//     more then, and a second MovedError is final.
//   - Whose fault is an error? Blame decides: the own disk (exit 6), upstream
//     (exit 7, malformed content included), a signature or a pin that does not
//     hold (exit 4), the spec (exit 2).
//
// Metadata is bounded before it is read and checked before it is unpacked. No
// payload is read here: Open returns the function that Collect calls.
package upstream
