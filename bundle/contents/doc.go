// Package contents reads the contents lists of many repositories together: it merges
// them in the order of names, finds what a person looks for, and finds by name what
// was added, changed and removed between two states of a set.
//
// A contents list is sorted by name and type first (bundle.CompareEntries), so all of
// this is one merge over the open lists. Memory does not grow with the lists: Merge
// holds one entry of each list, and Compare the differences of one name besides 16
// bytes for each entry that this one name has on both sides.
//
// Both sides of the gap use it. It knows no kind and compares no versions: which
// version is the newest is what the lists state (bundle.Entry.Rank).
package contents
