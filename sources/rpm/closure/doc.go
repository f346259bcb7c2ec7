// Package closure chooses packages: what was requested, everything that dnf
// would install with it, and for each a reason.
//
// # The aim
//
// The closure looks at all rpm sources of a set together, as the client will.
// dnf over the partial mirror should choose what dnf over the whole one would.
// dnf leaves the choice to libsolv. A need is met by a package that is chosen
// already. Otherwise libsolv chooses the best package that provides it, by
// these criteria in this order:
//
//   - the repositories' priority;
//   - the client's architecture before others;
//   - the newest version of each name;
//   - no package that another candidate obsoletes;
//   - packages that a chosen one recommends;
//   - no package that has a newer version;
//   - the newest version of a common provide;
//   - packages that a chosen one suggests;
//   - the name.
//
// # Growth
//
// The packages that are chosen already depend on the request, and a mirror serves many
// requests. So the closure does not search for one solution. It collects all
// packages that may be in one, and grows until nothing is added:
//
//   - for each need its first choice, even if another carried package meets it;
//   - whatever a carried package recommends or suggests;
//   - if a choice, or something that it needs, conflicts with a carried package,
//     the next choice as well, until one has no conflict.
//
// Therefore the choices that dnf makes over the whole mirror are carried, for
// the request as a whole and for each part of it. A newer version that nobody
// can install is carried too if dnf prefers other packages because of it:
// without it dnf would choose differently over the partial mirror.
//
// # Proof by a SAT solver
//
// Growth alone does not prove that dnf can install from the selection whatever
// it can install from the whole. If the first choices for a request do not
// obviously go together, a SAT solver decides: for each requested package, for
// each two of them, and for all together. Packages that it finds missing are
// carried as well. If a request cannot be installed from the whole either, the
// solver names the relations that exclude each other.
//
// # What can differ
//
// dnf may still choose differently. libsolv's search depends on packages that
// it does not choose: their rules decide how far it backtracks after a
// conflict. With the relations of Debian's 66,000 packages there was no
// difference in 1,739 requests that dnf satisfies. In made-up repositories full
// of conflicts and rich dependencies, dnf 4.14 refused what the closure
// refuses, in all of 3,600 requests, and installed from the partial mirror all
// that it installs from the whole; in 70 it chose differently. A test has this
// as an upper bound. Carrying everything that could be chosen, installable or
// not, would leave 10 of 5,400 and make the mirror many times larger.
//
// # Packages that cannot be installed
//
// A package that cannot be installed, or needs something that no source has,
// is not chosen while there is another choice. If there is none, the package
// that needs it is an error, which names the chain of dependencies. A package
// requested by a pattern or with a whole source is carried all the same, with
// those of its dependencies that exist.
//
// The closure is pure: no network, and no clock but a bound on the SAT solver's
// time. The same lists and requests lead to the same selection.
package closure
