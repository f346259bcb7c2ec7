// Package resolve chooses one version of every project that some requirements
// lead to, for one target, as pip does.
//
// The algorithm is that of resolvelib 1.2, which pip uses: a criterion for
// each project (and for each set of extras of a project) collects what is
// wanted of it and who wants it; the most preferred unpinned criterion is
// pinned to its best candidate; a candidate whose dependencies contradict a
// criterion is passed over; where none is left, pins are taken back up to one
// that had a part in the contradiction. Jumping back is optimistic first, over
// pins that only might be innocent, and careful if that fails. The order of
// preference is pip 26's. PubGrub would explain conflicts better, but it would
// choose other versions than pip does inside the gap.
//
// The package reads nothing by itself: a Provider lists what can be installed
// on the target and reads metadata.
package resolve
