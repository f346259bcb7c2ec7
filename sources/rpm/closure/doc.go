// Package closure chooses packages: what was asked for, everything that dnf
// would install with it, and for each a reason.
//
// It looks at all rpm sources of a set together, as the client will. The aim
// is that dnf over the partial mirror chooses what dnf over the whole one
// would. dnf leaves the choice to libsolv: what is needed is taken from
// whatever is chosen already, and else the best of those that provide it is
// chosen, by the repositories' priority, the client's architecture before
// others, the newest version of each name, no package that another of them
// obsoletes, those that something chosen recommends, no package of which there
// is a newer version, the newest of a common provide, those that something
// chosen suggests, and then by name.
//
// What is chosen already depends on the request, and a mirror serves many.
// Therefore this is no search for one solution but the set of all packages
// that may be in one: for each need the first choice, even where something
// else that is carried would do; those that anything carried recommends or
// suggests; and where a choice conflicts with something carried, or cannot be
// had without what does, the next one as well, until one is found that is free
// of conflicts. It grows from what is asked for until nothing is added. So
// every choice that dnf makes over the whole mirror is there, for the request
// as a whole and for each part of it, and what dnf passed over is no better
// over the partial one.
//
// A package that needs what nobody has is left out of the choice first, as by
// libsolv; where nothing else is left, what needs it is an error that names
// the way there.
//
// It is pure: no network, no clock; the same lists and requests give the same
// selection.
package closure
