// Package replay plans a repository from what the base recorded of it, where nothing
// changed that the plan is a function of. Then the base's list is the plan, and
// upstream is asked for nothing but the files that decide: the signed ones.
//
// An unchanged base stands for a plan if two things hold.
//
//   - The files that decide are the very ones that were just read, and were planned
//     for the same configuration. Their lines in the list have the configuration as
//     an annotation (MarkKey), and the base has no others.
//   - What was made here was made of the same choice, by the same program, for the
//     same key of the site. The ledger has the choice as the validator of each root
//     file that was made. Mark makes both kinds of marks.
//
// Content that was made here is not kept. Where somebody asks for it (a full bundle,
// another destination), Again makes it once more.
package replay
