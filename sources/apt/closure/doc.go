// Package closure chooses packages: what was asked for, everything that apt
// would install with it, and for each a reason.
//
// It looks at all apt sources that it gets together, as the client will, in
// the order of the client's sources. The aim is that apt over the partial mirror
// chooses what apt over the whole one would. Therefore the choice follows
// apt's own order: the candidate is the version of highest priority and then
// the highest; of alternatives the first that can be installed; a real package
// before those that provide its name, and of these the essential, then the one
// of higher Priority, then the one that apt came to know last. What is chosen
// is carried even where another alternative is carried for another reason,
// because a client may want one without the other; and where a chosen
// alternative conflicts with something else that is chosen, the next one is
// carried as well.
//
// Where packages that provide one name are equal in all of this, what apt came
// to know last follows from everything its lists mention, and over a partial
// mirror that carries several of them it may take another than over the whole
// one: 1 of 730 requests over Debian 12, and both meet the need.
//
// Each architecture is looked at as a client of its own, with the others as
// foreign ones, because a package for all architectures has the dependencies
// of the client's.
//
// Essential packages are carried only if something depends on them, as apt
// does; a client that is installed has them.
//
// It is pure: no network, no clock; the same lists and requests lead to the same
// selection.
package closure
