// Package resolve chooses one version of every project that some requirements
// lead to, for one target, as pip does.
//
// The algorithm is that of resolvelib 1.2, which pip uses. A criterion for each
// project (and for each set of extras of a project) collects the requirements
// for it and where they come from. The most preferred unpinned criterion is
// pinned to its best candidate. A candidate whose dependencies contradict a
// criterion is skipped. If no candidate is left, the resolver backtracks to a
// pin that took part in the contradiction: first optimistically, past pins that
// may have taken part, and one by one if that fails. The order of preference is
// that of pip 26. PubGrub would explain conflicts better, but it would choose
// other versions than pip does inside the gap.
//
// The package reads nothing by itself: a Provider lists what can be installed
// on the target and reads metadata.
package resolve
