// Package rebuild is what kinds share that make an index of a selection: the rule that
// decides between upstream's own index and one that is made here, where made files are
// put, and how they are evidenced.
//
// verbatim is upstream's signed index byte for byte and everything that it lists.
// rebuilt is a new index, signed by the site's key, with upstream's own index and
// signature next to it below UpstreamFolder as evidence. The two are never mixed in
// one repository.
//
// A made index is a function of the selection, so that an unchanged selection costs a
// delta nothing: its date is the newest date among the indexes that it was made from,
// never the clock's, and the site's key signs without salt.
//
// Files made of vouched content are vouched for as "made". Files made of content
// that nothing but the connection vouches for are counted as that content is: Vouched
// decides.
package rebuild
