// Package closure chooses packages: what was requested, everything that apt
// would install with it, and for each a reason.
//
// The closure looks at all its apt sources together, as the client will, in the
// order of the client's sources. apt over the partial mirror should choose what
// apt over the whole one would, so the choice follows apt's own order:
//
//   - of a package, the version of the highest priority, and of these the highest;
//   - of alternatives, the first that can be installed;
//   - a real package before those that provide its name; of these an essential
//     one, then the one of higher Priority, then the one that apt read last.
//
// A chosen alternative is carried even if another one is carried for another
// reason, because a client may want one without the other. If a chosen
// alternative conflicts with another chosen package, the next alternative is
// carried as well.
//
// If packages that provide one name are equal in all of this, the one that apt
// read last depends on everything that its lists mention. Over a partial mirror
// that carries several of them, apt may take another one than over the whole
// mirror: in 1 of 730 requests over Debian 12, and both meet the need.
//
// Each architecture is treated as a client of its own, with the others as
// foreign ones, because a package for all architectures has the dependencies
// of the client's.
//
// Essential packages are carried only if something depends on them, because an
// installed client has them; apt does the same.
//
// The closure is pure: no network and no clock. The same lists and requests
// lead to the same selection.
package closure
